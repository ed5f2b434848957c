import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { batch, Mock, Recipes } from "floodgate"

const yesNo = (yes: number, no: number) => ({
  content: [
    {
      token: "Yes",
      logprob: Math.log(yes),
      top_logprobs: [
        { token: "Yes", logprob: Math.log(yes) },
        { token: " no", logprob: Math.log(no) }
      ]
    }
  ]
})

describe("Recipes", () => {
  it.effect("extract gives a value of the schema", () =>
    Effect.gen(function* () {
      const layer = Mock.layer((request) => {
        expect(request.messages.at(-1)?.content).toBe("Invoice 7, total 12.5")
        return `{"number":"7","total":12.5}`
      })
      const schema = Schema.Struct({ number: Schema.String, total: Schema.Number })
      expect(yield* Effect.provide(Recipes.extract("Invoice 7, total 12.5", schema), layer)).toEqual({
        number: "7",
        total: 12.5
      })
    })
  )

  it.effect("classify gives one of the labels, and asks again for any other", () =>
    Effect.gen(function* () {
      const answers = [`{"label":"great"}`, `{"label":"good"}`]
      const layer = Mock.layer(() => answers.shift() ?? "")
      const label: "good" | "bad" = yield* Effect.provide(Recipes.classify("Fine!", ["good", "bad"]), layer)
      expect(label).toBe("good")
    })
  )

  it.effect("classification goes through a batch, with its type", () =>
    Effect.gen(function* () {
      const requests = ["a", "b"].map((text) => Recipes.classification(text, ["x", "y"]))
      const outcomes = yield* Effect.provide(
        batch(requests),
        Mock.layer(() => `{"label":"y"}`)
      )
      expect(outcomes.map((outcome) => Either.getOrThrow(outcome).value.label)).toEqual(["y", "y"])
    })
  )

  it.effect("score measures by log probabilities, and goes by the word without them", () =>
    Effect.gen(function* () {
      const measured = yield* Effect.provide(
        Recipes.score("Is it?"),
        Mock.layer(() => Mock.response("Yes", { logprobs: yesNo(0.6, 0.3) }))
      )
      expect(measured).toMatchObject({ yes: true, measured: true })
      expect(measured.probability).toBeCloseTo(2 / 3)
      const google = yield* Effect.provide(
        Recipes.score("Is it?"),
        Mock.layer(() =>
          Mock.response("No", {
            logprobs: {
              topCandidates: [{ candidates: [{ token: "no", logProbability: Math.log(0.9) }] }]
            }
          })
        )
      )
      // the Responses API gives the list of tokens by itself
      const responses = yield* Effect.provide(
        Recipes.score("Is it?"),
        Mock.layer(() => Mock.response("Yes", { logprobs: yesNo(0.6, 0.3).content }))
      )
      expect(responses).toEqual(measured)
      expect(google).toEqual({ yes: false, probability: 0, measured: true })
      const plain = yield* Effect.provide(
        Recipes.score("Is it?"),
        Mock.layer(() => "Yes, it is.")
      )
      expect(plain).toEqual({ yes: true, probability: 1, measured: false })
    })
  )

  it.effect("score without a yes or a no, or without an end, is an error", () =>
    Effect.gen(function* () {
      const answers = [
        Mock.response("I cannot help with that"),
        Mock.response("", { refusal: "No." }),
        Mock.response("No", { finishReason: "length" }),
        Mock.response("", { finishReason: "content_filter" })
      ]
      for (const answer of answers) {
        const error = yield* Effect.flip(
          Effect.provide(
            Recipes.score("Is it?"),
            Mock.layer(() => answer)
          )
        )
        expect(error).toMatchObject({ _tag: "InvalidOutputError", usage: answer.usage })
      }
      // asked for one token, which is all that it takes
      const one = Mock.response("Yes", { finishReason: "length", logprobs: yesNo(0.9, 0.1) })
      expect(Either.getOrThrow(Recipes.scoreOf(one))).toMatchObject({ yes: true, measured: true })
    })
  )

  it.effect("scores of a batch are read with scoreOf", () =>
    Effect.gen(function* () {
      const answers = ["yes", "no", "maybe"]
      const outcomes = yield* Effect.provide(
        batch(
          answers.map((answer) => Recipes.scoring(answer)),
          { concurrency: 1 }
        ),
        Mock.layer((request) => String(request.messages.at(-1)?.content))
      )
      const scores = outcomes.map((outcome) => Either.flatMap(outcome, Recipes.scoreOf))
      expect(scores.map(Either.match({ onLeft: ({ _tag }) => _tag, onRight: ({ yes }) => yes }))).toEqual([
        true,
        false,
        "InvalidOutputError"
      ])
    })
  )

  it.effect("translate fails where the answer was cut or refused", () =>
    Effect.gen(function* () {
      const answers = [
        Mock.response("Guten", { finishReason: "length" }),
        Mock.response("", { refusal: "I will not." })
      ]
      for (const answer of answers) {
        const error = yield* Effect.flip(
          Effect.provide(
            Recipes.translate("Good morning", { to: "German" }),
            Mock.layer(() => answer)
          )
        )
        expect(error).toMatchObject({ _tag: "InvalidOutputError", text: answer.text })
      }
    })
  )

  it.effect("refuses parameters that there are not", () =>
    Effect.gen(function* () {
      // what a program without types may pass
      const parameters = { temprature: 0 } as Recipes.Parameters
      const error = yield* Effect.flip(
        Effect.provide(
          Recipes.score("Is it?", { parameters }),
          Mock.layer(() => "yes")
        )
      )
      expect(error).toMatchObject({ _tag: "InvalidRequestError" })
      expect(error.message).toContain("temprature")
    })
  )

  it.effect("translate gives the text alone", () =>
    Effect.gen(function* () {
      const layer = Mock.layer((request) => {
        expect(request.messages[0]?.content).toContain("from English to German")
        return " Guten Morgen\n"
      })
      const text = yield* Effect.provide(
        Recipes.translate("Good morning", { from: "English", to: "German" }),
        layer
      )
      expect(text).toBe("Guten Morgen")
    })
  )
})
