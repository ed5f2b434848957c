/**
 * Data out of texts, decoded by an Effect Schema. The provider is held to the schema as far as it can be; an answer that
 * still does not fit is asked for again, with what was wrong, and is never taken for a value.
 *
 * Prints a line for each mail, `<number>: <total> <currency> for <items> items, <due date>`, or why there is none. The
 * simulator makes up values that fit; a model finds those of the mails.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/extract.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/extract.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { batch, OpenAILive, Recipes } from "floodgate"

/** A day such as `2026-06-01`. The model is told its format too. */
const Day = Schema.String.annotations({ jsonSchema: { type: "string", format: "date" } }).pipe(
  Schema.compose(Schema.DateFromString)
)

/** What is wanted. Descriptions are told to the model, filters hold for its answer. */
class Invoice extends Schema.Class<Invoice>("Invoice")({
  number: Schema.String.annotations({ description: "The invoice number, as it is printed" }),
  currency: Schema.Literal("EUR", "USD", "GBP"),
  total: Schema.Number.pipe(Schema.positive()),
  due: Schema.NullOr(Day),
  items: Schema.Array(
    Schema.Struct({ name: Schema.String, quantity: Schema.Int.pipe(Schema.positive()), price: Schema.Number })
  )
}) {
  get summary(): string {
    const due = this.due === null ? "due at once" : `due ${this.due.toISOString().slice(0, 10)}`
    return `${this.number}: ${this.total} ${this.currency} for ${this.items.length} items, ${due}`
  }
}

const mails = [
  "Invoice 2026-114: 2 lamps at 40.00 EUR, in all 80.00 EUR. Please pay by 1 June 2026.",
  "INV/88 – one kettle, $35. Payable on receipt.",
  "Dear customer, for 3 backpacks (£60 each) we charge £180 (no. A-7), due on 2026-07-15."
]

const requests = mails.map((mail) => Recipes.extraction(mail, Invoice, { parameters: { temperature: 0 } }))

const program = Effect.gen(function* () {
  const outcomes = yield* batch(requests)
  for (const [n, outcome] of outcomes.entries()) {
    if (outcome._tag === "Right") yield* Console.log(outcome.right.value.summary)
    else yield* Console.log(`Mail ${n + 1}: ${outcome.left._tag}, ${outcome.left.message}`)
  }
})

NodeRuntime.runMain(program.pipe(Effect.provide(OpenAILive)))
