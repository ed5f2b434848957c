/**
 * How to test a program that asks a model, without a network: a Layer answers in the model's place.
 *
 * Prints vitest's report of three tests that pass. Run it with `npx vitest run examples/mock.test.ts`.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Chat, complete, LlmError, Mock } from "floodgate"

/** The program to be tested: it asks for a word and understands two. */
const isSpam = (mail: string) =>
  complete(Chat.prompt(mail, { system: "Is this mail spam? Answer yes or no.", temperature: 0 })).pipe(
    Effect.map((response) => response.text.trim().toLowerCase() === "yes"),
    // a mail too long for the model is let through
    Effect.catchTag("ContextLengthError", () => Effect.succeed(false))
  )

it.effect("understands the model", () =>
  Effect.gen(function* () {
    expect(yield* isSpam("You have won a boat")).toBe(true)
  }).pipe(Effect.provide(Mock.layer(() => " Yes\n")))
)

it.effect("sends the mail as it is", () => {
  const prompts: Array<unknown> = []
  const model = Mock.layer((request) => {
    prompts.push(request.messages.at(-1)?.content)
    return "no"
  })
  return Effect.gen(function* () {
    expect(yield* isSpam("Lunch at one?")).toBe(false)
    expect(prompts).toEqual(["Lunch at one?"])
  }).pipe(Effect.provide(model))
})

it.effect("lets through what is too long to be read", () => {
  const tooLong = new LlmError.ContextLengthError({ provider: Mock.name, message: "8,192 tokens at most" })
  return Effect.gen(function* () {
    expect(yield* isSpam("Dear reader, ".repeat(10_000))).toBe(false)
  }).pipe(Effect.provide(Mock.layer(() => Effect.fail(tooLong))))
})
