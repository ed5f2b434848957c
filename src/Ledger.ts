/**
 * What was done and what it cost: every HTTP attempt is booked, with its tokens by class, its cost, and whether it was
 * paid for in vain.
 *
 * Costs are exact sums (see `Prices`); each is reckoned with the prices of the moment, and a model without a price is
 * named as such and never guessed. Four sums are to be told apart:
 *
 * - `cost`: all that was paid for as far as we were told, answers that were of no use included;
 * - `wasted`: the part of it that is not the answer of a request: answers that did not fit the schema, answers of which
 *   another came first, or for which nobody waited any more, and failures that state a usage. Attempts that were given
 *   up, such as the slower of two, are counted here as well, and what they cost only as far as it is known;
 * - `unsettled`: attempts that were given up, or broke off, after they had been sent: streams in their middle, answers
 *   cut short, and those that a gateway lost (502, 504, 520, 524). They may have been billed, and nobody told us: they
 *   are counted apart, with the most that they may come to;
 * - `saved`: what the answers from the cache, and of equal requests, would have cost.
 *
 * A ledger lives as long as its layer, and takes in all that is asked where the layer is provided. In a batch with a
 * checkpoint it is durable: what a row's attempts cost is on disk before the row is, and a run that goes on where one
 * was killed begins with the totals of that one. They end with the run that seals the output.
 *
 * Memory is bounded: there are sums for each endpoint, model, task, service tier and ending, the first 2,000 of them;
 * what is beyond goes to the model `(others)`.
 *
 * @example
 * import { batch, Chat, Ledger, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const program = Effect.gen(function* () {
 *   yield* batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")])
 *   const ledger = yield* Ledger.Ledger
 *   return Ledger.table(yield* ledger.summary)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Layer.mergeAll(OpenAILive, Ledger.layer))))
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Checkpoint } from "./Checkpoint.js"
import { Books } from "./internal/ledgerBooks.js"
import * as LedgerSummary from "./internal/ledgerSummary.js"
import * as LedgerTable from "./internal/ledgerTable.js"
import * as Observe from "./internal/observe.js"
import type { Money } from "./Prices.js"

/** Schema of a {@link Summary}. */
export const Summary = LedgerSummary.Summary
/** Everything that a ledger knows, as data that can be written as JSON. */
export type Summary = LedgerSummary.Summary

/** Schema of {@link Sums}. */
export const Sums = LedgerSummary.Sums
/** Sums over attempts. */
export type Sums = LedgerSummary.Sums

/** The sums of all that was booked. */
export interface Service {
  /** The sums at this moment. */
  readonly summary: Effect.Effect<Summary>
  /** All that was paid so far, exactly. */
  readonly cost: Effect.Effect<Money>
  /** The part of {@link cost} that is not the answer of a request. */
  readonly wasted: Effect.Effect<Money>
  /** Books what it is told. For those who make requests without {@link layer}. */
  readonly observer: Observe.Observer
  /**
   * Takes in what earlier runs left in a checkpoint, and has this run's sums written to it. What the run does is to be
   * told to the observer that is given, besides this ledger's own. `batch` does so itself.
   */
  readonly follow: (checkpoint: Context.Tag.Service<Checkpoint>) => Effect.Effect<Observe.Observer>
}

/** See {@link layer}. */
export class Ledger extends Context.Tag("floodgate/Ledger")<Ledger, Service>() {}

/** An output that was opened before so many others is taken for one that will not be opened again. */
const mostOutputs = 100

/** An empty ledger that nobody tells anything yet. */
export const make: Effect.Effect<Service> = Effect.sync(() => {
  const books = new Books()
  const earlier = new Books()
  /** Of each output that is not sealed: what is in its journal, or about to be, and is booked here. */
  const outputs = new Map<string, { readonly books: Books; unknown: number }>()
  let unknownBefore = 0
  const sumOf = (of: "cost" | "wastedCost") =>
    Effect.sync(() => {
      let sum: Money = 0n
      for (const line of books.lines.values()) sum += line[of]
      return sum
    })
  return {
    summary: Effect.sync(() => {
      let outcomeUnknown = unknownBefore
      for (const { unknown } of outputs.values()) outcomeUnknown += unknown
      return LedgerSummary.summary(books, earlier, outcomeUnknown)
    }),
    cost: sumOf("cost"),
    wasted: sumOf("wastedCost"),
    observer: books.observer,
    follow: ({ account, found, spending: { id } }) =>
      Effect.sync(() => {
        const known = outputs.get(id) ?? { books: new Books(), unknown: 0 }
        outputs.set(id, known)
        const [oldest] = outputs
        if (outputs.size > mostOutputs && oldest !== undefined) {
          outputs.delete(oldest[0])
          unknownBefore += oldest[1].unknown
        }
        let unwritten = new Books()
        const left = account(() => {
          if (unwritten.isEmpty) return undefined
          const taken = unwritten
          unwritten = new Books()
          known.books.merge(taken)
          return taken
        })
        if (left !== undefined) {
          // an output that is opened again holds what was booked here before
          const news = left.beyond(known.books)
          books.merge(news)
          earlier.merge(news)
          known.books.merge(news)
        }
        known.unknown = Math.max(known.unknown, found.unknown.length + found.resent.length)
        return {
          attempt: (event) => unwritten.attempt(event),
          wasted: (event) => unwritten.wasted(event),
          // what is restored was booked when it was asked
          request: (event) => event.origin !== "checkpoint" && unwritten.request(event)
        }
      })
  }
})

/** A ledger of all that is asked below this layer. */
export const layer: Layer.Layer<Ledger> = Layer.unwrapEffect(
  Effect.map(make, (ledger) => Layer.merge(Layer.succeed(Ledger, ledger), Observe.add(ledger.observer)))
)

/** The sums as a table of text, with a line for each endpoint and model. */
export const table: (summary: Summary) => string = LedgerTable.table
