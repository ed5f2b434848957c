import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  batch,
  Cache,
  Chat,
  Checkpoint,
  collect,
  complete,
  LlmError,
  Mock,
  object,
  Providers,
  RateLimiter,
  type Request,
  Router,
  StreamPart,
  StructuredOutput,
  stream,
  Throttle
} from "floodgate"
import * as AnthropicSchema from "../src/internal/anthropicSchema.js"
import * as GeminiSchema from "../src/internal/geminiSchema.js"
import * as OpenAiSchema from "../src/internal/openAiSchema.js"
import * as SchemaRoot from "../src/internal/schemaRoot.js"

const City = Schema.Struct({
  name: Schema.String,
  founded: Schema.optional(Schema.Number),
  mayor: Schema.NullOr(Schema.String),
  twins: Schema.optional(
    Schema.Array(Schema.Struct({ name: Schema.String, since: Schema.optional(Schema.Number) }))
  )
})

const asked = Chat.prompt("Tell me of Rome.")
const good = `{"name":"Rome","mayor":null}`

/** A mock that gives these answers one after the other, and the last prompts it was given. */
const answering = (...answers: ReadonlyArray<string>) => {
  const seen: Array<Chat> = []
  const layer = Mock.layer((request) => {
    seen.push(request)
    return Mock.response(answers[Math.min(seen.length, answers.length) - 1] ?? "", {
      usage: { inputTokens: 10, outputTokens: 5 }
    })
  })
  return { layer, seen }
}

describe("a schema as it is sent", () => {
  class Person extends Schema.Class<Person>("Person")({ name: Schema.String }) {}
  interface Chain {
    readonly next?: Chain | undefined
  }
  const Chain: Schema.Schema<Chain> = Schema.Struct({
    next: Schema.optional(Schema.suspend(() => Chain))
  }).annotations({ identifier: "Chain" })
  const code = Schema.NonEmptyString.pipe(Schema.maxLength(3))
  const score = Schema.Int.pipe(Schema.between(1, 9)).annotations({ description: "how good it is" })
  const author = Schema.propertySignature(Person).annotations({ description: "the author, not the editor" })
  const jsonSchema = (schema: Schema.Schema.Any) => ({ ...JSONSchema.make(schema as Schema.Schema<unknown>) })
  const adaptors = [
    (schema: Schema.Schema.Any) => OpenAiSchema.adapt(jsonSchema(schema)).schema,
    (schema: Schema.Schema.Any) => AnthropicSchema.normalise(jsonSchema(schema)),
    (schema: Schema.Schema.Any) => GeminiSchema.adapt(jsonSchema(schema))
  ]

  it("has what stands beside a reference", () => {
    const sent = adaptors.map((adapt) => adapt(Schema.Struct({ code, score, author, editor: Person })))
    for (const schema of sent) {
      expect(schema).toMatchObject({
        properties: {
          score: { type: "integer", description: expect.stringContaining("how good it is") },
          author: { type: "object", description: "the author, not the editor" },
          editor: { $ref: "#/$defs/Person" }
        }
      })
      expect(Object.keys(schema?.["$defs"] ?? {})).toEqual(["Person"])
    }
    expect(sent[0]).toMatchObject({
      properties: { code: { minLength: 1, maxLength: 3 }, score: { minimum: 1, maximum: 9 } }
    })
    expect(sent[1]).toMatchObject({
      properties: { code: { description: expect.stringContaining("{minLength: 1, maxLength: 3}") } }
    })
    expect(sent[2]).toMatchObject({ properties: { score: { minimum: 1, maximum: 9 } } })
  })

  it("refers to what holds itself, with its description", () => {
    const chain = Schema.propertySignature(Chain).annotations({ description: "the longest" })
    const given = jsonSchema(Schema.Struct({ chain }))
    for (const sent of [OpenAiSchema.adapt(given).schema, GeminiSchema.adapt(given)]) {
      expect(sent).toMatchObject({
        properties: { chain: { anyOf: [{ $ref: "#/$defs/Chain" }], description: "the longest" } }
      })
    }
    // the root is written out
    expect(OpenAiSchema.adapt(jsonSchema(Chain))).toMatchObject({
      strict: true,
      schema: { type: "object", required: ["next"] }
    })
  })
})

describe("object", () => {
  it.effect("decodes the answer with the schema", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(good)
      const response = yield* Effect.provide(object(asked, City), layer)
      const name: string = response.value.name
      expect(name).toBe("Rome")
      expect(response.text).toBe(good)
      expect(seen[0]?.responseFormat).toMatchObject({ type: "jsonSchema", adapt: true, strict: true })
    })
  )

  it.effect("finds the JSON in a fence and between words", () =>
    Effect.gen(function* () {
      for (const text of [`\`\`\`json\n${good}\n\`\`\``, `Here it is: ${good} Anything else?`]) {
        const { layer } = answering(text)
        expect((yield* Effect.provide(object(asked, City), layer)).value).toEqual({
          name: "Rome",
          mayor: null
        })
      }
    })
  )

  it.effect("takes the nulls of strict modes for what is not there, and keeps those that are meant", () =>
    Effect.gen(function* () {
      const { layer } = answering(
        `{"name":"Rome","founded":null,"mayor":null,"twins":[{"name":"Paris","since":null}]}`
      )
      const { value } = yield* Effect.provide(object(asked, City), layer)
      expect(value).toEqual({ name: "Rome", mayor: null, twins: [{ name: "Paris" }] })
    })
  )

  it.effect("takes the nulls of a union by the variant that is there, and of maps and tuples too", () =>
    Effect.gen(function* () {
      const Cat = Schema.Struct({ kind: Schema.Literal("cat"), x: Schema.optional(Schema.String) })
      const Dog = Schema.Struct({ kind: Schema.Literal("dog"), x: Schema.NullOr(Schema.String) })
      const Named = Schema.Struct({ name: Schema.String, of: Schema.optional(Schema.Number) })
      const Owned = Schema.Struct({ owner: Schema.NullOr(Schema.String), of: Schema.optional(Schema.Number) })
      interface Tree {
        readonly left?: Tree | undefined
        readonly right?: Tree | undefined
      }
      const Tree: Schema.Schema<Tree> = Schema.Struct({
        left: Schema.optional(Schema.suspend(() => Tree)),
        right: Schema.optional(Schema.suspend(() => Tree))
      }).annotations({ identifier: "Tree" })
      const All = Schema.Struct({
        pets: Schema.Array(Schema.Union(Cat, Dog)),
        things: Schema.Array(Schema.Union(Named, Owned)),
        map: Schema.Record({ key: Schema.String, value: Named }),
        pair: Schema.Tuple(Named, Dog),
        tree: Tree
      })
      const { layer, seen } = answering(
        JSON.stringify({
          pets: [
            { kind: "cat", x: null },
            { kind: "dog", x: null }
          ],
          things: [
            { name: "a", of: null },
            { owner: null, of: null }
          ],
          map: { k: { name: "b", of: null } },
          pair: [
            { name: "c", of: null },
            { kind: "dog", x: null }
          ],
          tree: { left: { left: null, right: null }, right: null }
        })
      )
      const { value } = yield* Effect.provide(object(asked, All), layer)
      expect(value).toEqual({
        pets: [{ kind: "cat" }, { kind: "dog", x: null }],
        things: [{ name: "a" }, { owner: null }],
        map: { k: { name: "b" } },
        pair: [{ name: "c" }, { kind: "dog", x: null }],
        tree: { left: {} }
      })
      expect(seen).toHaveLength(1)
    })
  )

  it.effect("takes schemas of any name", () =>
    Effect.gen(function* () {
      const Share = Schema.Struct({ of: Schema.optional(Schema.Number) }).annotations({
        identifier: "a 50% share"
      })
      const { layer } = answering(`{"share":{"of":null}}`)
      const { value } = yield* Effect.provide(object(asked, Schema.Struct({ share: Share })), layer)
      expect(value).toEqual({ share: {} })
    })
  )

  it.effect("asks for what is no object within one, and takes it out of it", () =>
    Effect.gen(function* () {
      const Years = Schema.Array(Schema.Number)
      const { layer, seen } = answering(`{"value":["753"]}`, `{"value":[753]}`)
      const { text, value } = yield* Effect.provide(object(asked, Years), layer)
      expect([value, text]).toEqual([[753], `{"value":[753]}`])
      expect(seen[0]?.responseFormat).toMatchObject({
        schema: {
          type: "object",
          properties: { value: { type: "array", items: { type: "number" } } },
          required: ["value"],
          additionalProperties: false
        }
      })
      expect(seen[1]?.messages.at(-1)?.content).toContain("at value.0: Expected number")
      const Box = Schema.Union(Schema.Struct({ value: Schema.Number }), Schema.Struct({ none: Schema.Null }))
      const cases = [
        // a model that is told in words may leave the object out
        [Years, "So: [753, 509]", [753, 509]],
        [Schema.Literal("old", "new"), `"old"`, "old"],
        [Schema.Literal("old", "new"), `{"value":"new"}`, "new"],
        [Box, `{"value":{"value":1}}`, { value: 1 }],
        [Box, `{"value":1}`, { value: 1 }],
        [Schema.NullOr(City), `{"value":{"name":"Rome","founded":null,"mayor":null}}`, JSON.parse(good)],
        [Schema.NullOr(City), `{"value":null}`, null]
      ] as const
      for (const [schema, answer, expected] of cases) {
        const { layer } = answering(answer)
        const asking = object(asked, schema as Schema.Schema<unknown, unknown>, { corrections: 0 })
        expect((yield* Effect.provide(asking, layer)).value).toEqual(expected)
      }
    })
  )

  it("moves the definitions of what it wraps, and leaves what cannot be moved", () => {
    const Named = Schema.Struct({ name: Schema.String }).annotations({ identifier: "Named" })
    expect(StructuredOutput.responseFormat(Schema.Array(Named))).toMatchObject({
      schema: {
        properties: { value: { type: "array", items: { $ref: "#/$defs/Named" } } },
        $defs: { Named: { type: "object" } }
      }
    })
    const List = Schema.Array(Schema.String).annotations({ identifier: "List" })
    expect(StructuredOutput.responseFormat(List)).toMatchObject({
      schema: { type: "object", properties: { value: { $ref: "#/$defs/List" } } }
    })
    const nested = { type: "array", items: { $ref: "#" } }
    expect(SchemaRoot.wrap(nested)).toBeUndefined()
  })

  it.effect("asks again with what was wrong, and counts the usage of every call", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(`{"name":7}`, "no JSON", good)
      const response = yield* Effect.provide(object(asked, City), layer)
      expect(response.value.name).toBe("Rome")
      expect(response.usage).toMatchObject({ inputTokens: 30, outputTokens: 15 })
      expect(response.meta.attempts).toBe(3)
      expect(seen[1]?.messages).toHaveLength(3)
      expect(seen[1]?.messages.at(-1)?.content).toContain("at name")
      expect(seen[1]?.messages.at(-1)?.content).toContain("mayor")
    })
  )

  it.effect("ends in a typed error after so many corrections, and is not cached", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering("nothing")
      const services = Layer.merge(layer, Cache.layerMemory())
      const outcomes = yield* Effect.provide(
        Effect.all([Effect.either(object(asked, City, { corrections: 1 }))]),
        services
      )
      const error = Either.getOrThrow(Either.flip(outcomes[0]))
      expect(error._tag).toBe("InvalidOutputError")
      expect(error._tag === "InvalidOutputError" && error.text).toBe("nothing")
      expect(seen).toHaveLength(2)
    })
  )

  it.effect("does not ask again for an answer that was cut or refused", () =>
    Effect.gen(function* () {
      let calls = 0
      const layer = Mock.layer(() => {
        calls++
        return Mock.response(`{"name":"Ro`, { finishReason: "length" })
      })
      const error = yield* Effect.flip(Effect.provide(object(asked, City), layer))
      expect(error.message).toContain("token limit")
      expect(calls).toBe(1)
    })
  )

  it.effect("takes the JSON that fits, and a whole value however the answer ended", () =>
    Effect.gen(function* () {
      const Item = Schema.Struct({ a: Schema.Number })
      const listed = answering(`Here it is: [{"a":1}]`)
      expect((yield* Effect.provide(object(asked, Schema.Array(Item)), listed.layer)).value).toEqual([
        { a: 1 }
      ])
      const noted = answering(`As in [1]: {"a":1}`)
      expect((yield* Effect.provide(object(asked, Item), noted.layer)).value).toEqual({ a: 1 })
      const ended = (text: string) =>
        Effect.provide(
          object(asked, Item),
          Mock.layer(() => Mock.response(text, { finishReason: "length" }))
        )
      expect((yield* ended(`{"a":1}`)).value).toEqual({ a: 1 })
      // the first item of what was to be more
      expect((yield* Effect.flip(ended(`[{"a":1},{"a":`))).message).toContain("token limit")
    })
  )

  it.effect("decodes an answer from the cache as well", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(`{"name":1}`, good)
      const twice = Effect.gen(function* () {
        const first = yield* object(asked, City)
        const second = yield* object(asked, City)
        // the same question, asked without a check
        const plain = yield* complete(StructuredOutput.withSchema(asked, City))
        return [first, second, plain] as const
      })
      const [first, second, plain] = yield* Effect.provide(twice, Layer.merge(layer, Cache.layerMemory()))
      expect(second.value).toEqual(first.value)
      expect(second.meta.cached).toBe(true)
      expect(plain.value.name).toBe("Rome")
      expect(seen).toHaveLength(2)
    })
  )
})

describe("object from a cache", () => {
  const Word = Schema.Struct({ word: Schema.String })
  const Short = Schema.Struct({ word: Schema.String.pipe(Schema.filter((word) => word.length < 4)) })

  it.effect("asks again for a stored answer that does not fit, and stores the new one", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(`{"word":"long one"}`, `{"word":"new"}`)
      const program = Effect.gen(function* () {
        yield* object(asked, Word)
        // the same JSON Schema, and so the same key
        const readOnly = yield* object(asked, Short, { cache: "readOnly" })
        expect([readOnly.value.word, readOnly.meta.cached]).toEqual(["new", false])
        expect((yield* object(asked, Word)).value.word).toBe("long one")
        const replayed = yield* Effect.flip(object(asked, Short, { cache: "replay" }))
        expect(replayed._tag).toBe("InvalidOutputError")
        expect(seen).toHaveLength(2)
        const fresh = yield* object(asked, Short)
        expect([fresh.value.word, fresh.meta.cached]).toEqual(["new", false])
        const again = yield* object(asked, Short)
        expect([again.value.word, again.meta.cached]).toEqual(["new", true])
        expect(seen).toHaveLength(3)
      })
      yield* Effect.provide(program, Layer.merge(layer, Cache.layerMemory()))
    })
  )

  it.effect("asks again where the answer to an equal request under way does not fit", () =>
    Effect.gen(function* () {
      let calls = 0
      const layer = Mock.layer(() =>
        Effect.as(Effect.yieldNow(), ++calls === 1 ? `{"word":"long one"}` : `{"word":"new"}`)
      )
      const both = Effect.all([object(asked, Word), object(asked, Short), object(asked, Short)], {
        concurrency: "unbounded"
      })
      const values = yield* Effect.provide(both, Layer.merge(layer, Cache.layerMemory()))
      expect(values.map(({ value }) => value.word)).toEqual(["long one", "new", "new"])
      expect(calls).toBe(2)
    })
  )

  it.effect("asks again where an equal request under way failed by another schema, and not by its own", () =>
    Effect.gen(function* () {
      let calls = 0
      const layer = Mock.layer(() =>
        Effect.map(Effect.yieldNow(), () => {
          calls++
          return `{"word":"long one"}`
        })
      )
      const options = { corrections: 0 }
      const all = Effect.forEach(
        [Short, Short, Word],
        (schema) => Effect.either(object(asked, schema, options)),
        {
          concurrency: "unbounded"
        }
      )
      const outcomes = yield* Effect.provide(all, Layer.merge(layer, Cache.layerMemory()))
      expect(outcomes.map(Either.isRight)).toEqual([false, false, true])
      expect(calls).toBe(2)
    })
  )

  it.effect("never finds an answer that was streamed and did not fit", () =>
    Effect.gen(function* () {
      const texts = [`{"word":7}`, `{"word":"new"}`]
      const { Finish, Text } = StreamPart.StreamPart
      const provider: Providers.Provider = {
        name: "p",
        attempt: () => Effect.dieMessage("not streamed"),
        stream: () =>
          Effect.sync(() => ({
            parts: Either.right(
              Stream.make(Text({ text: texts.shift() ?? "" }), Finish({ finishReason: "stop" }))
            ),
            throttle: Throttle.none
          }))
      }
      const layer = Layer.mergeAll(
        Layer.succeed(Providers.Providers, Providers.make([provider])),
        Router.layer({ endpoints: [{ id: "a", provider: "p", baseUrl: "p://a", model: "m" }] }),
        RateLimiter.layerUnlimited,
        Cache.layerMemory()
      )
      const program = Effect.gen(function* () {
        const typed = StructuredOutput.withSchema(asked, Word)
        expect((yield* Effect.flip(collect(stream(typed))))._tag).toBe("InvalidOutputError")
        expect((yield* complete(typed, { streaming: true })).value.word).toBe("new")
        expect((yield* collect(stream(typed))).text).toContain("new")
        expect(texts).toEqual([])
      })
      yield* Effect.provide(program, layer)
    })
  )
})

describe("InvalidOutputError", () => {
  it.effect("has the usage of all answers", () =>
    Effect.gen(function* () {
      const { layer } = answering("nothing")
      const error = yield* Effect.flip(Effect.provide(object(asked, City), layer))
      expect(error).toMatchObject({
        _tag: "InvalidOutputError",
        usage: { inputTokens: 30, outputTokens: 15 }
      })
    })
  )

  it.effect("stands for a correction that failed or took too long, with what was paid until then", () =>
    Effect.gen(function* () {
      const first = Mock.response("nothing", { usage: { inputTokens: 10, outputTokens: 5 } })
      const correction = (later: Effect.Effect<string, LlmError.LlmError>) => {
        let calls = 0
        return Mock.layer(() => (++calls === 1 ? first : later))
      }
      const refused = new LlmError.InvalidRequestError({ provider: "mock", message: "too odd", status: 400 })
      const failed = yield* Effect.flip(Effect.provide(object(asked, City), correction(Effect.fail(refused))))
      expect(failed).toMatchObject({
        _tag: "InvalidOutputError",
        status: 400,
        text: "nothing",
        usage: first.usage
      })
      expect(failed.message).toMatch(/not JSON.*InvalidRequestError: too odd/)
      const fiber = yield* Effect.fork(
        Effect.flip(Effect.provide(object(asked, City, { deadline: "1 minute" }), correction(Effect.never)))
      )
      yield* TestClock.adjust("2 minutes")
      const late = yield* fiber
      expect(late).toMatchObject({ _tag: "InvalidOutputError", usage: first.usage })
      expect(late.message).toContain("deadline")
    })
  )

  it.effect("says that the model called a tool where a value was wanted", () =>
    Effect.gen(function* () {
      const toolCalls = [{ id: "c1", name: "look_up", arguments: "{}" }]
      const calling = (text: string) =>
        Mock.layer(() => Mock.response(text, { toolCalls, finishReason: "tool_calls" }))
      const error = yield* Effect.flip(Effect.provide(object(asked, City), calling("I shall look.")))
      expect(error._tag).toBe("InvalidOutputError")
      expect(error.message).toContain("called a tool (look_up)")
      const both = yield* Effect.provide(object(asked, City), calling(good))
      expect(both.value.name).toBe("Rome")
    })
  )
})

describe("withSchema", () => {
  it.effect("refuses what cannot be asked when it is asked, in a batch as well", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(good)
      const { messages } = asked
      const misspelt = { messages, temprature: 0 } as Request.ChatFields
      const malformed = { messages: "Hi" } as unknown as Request.ChatFields
      const typed = [
        StructuredOutput.withSchema(asked, Schema.Struct({ on: Schema.DateFromSelf })),
        StructuredOutput.withSchema(misspelt, City),
        StructuredOutput.withSchema(malformed, City),
        StructuredOutput.withSchema({ messages }, City)
      ]
      const outcomes = yield* Effect.provide(batch(typed), layer)
      expect(
        outcomes.map(
          Either.match({ onLeft: ({ _tag, message }) => `${_tag}: ${message}`, onRight: () => "" })
        )
      ).toEqual([
        expect.stringMatching(/^InvalidRequestError: The schema has no JSON Schema: .*DateFromSelf/),
        expect.stringMatching(/^InvalidRequestError: Unknown field "temprature"/),
        expect.stringMatching(/^InvalidRequestError: messages/),
        ""
      ])
      expect((yield* Effect.flip(Effect.provide(object(misspelt, City), layer)))._tag).toBe(
        "InvalidRequestError"
      )
      expect(seen).toHaveLength(1)
    })
  )

  it.effect("gives each request of a batch its own type of value", () =>
    Effect.gen(function* () {
      const requests = [1, 2].map((n) =>
        StructuredOutput.withSchema(Chat.prompt(`${n}`), Schema.Struct({ double: Schema.Number }))
      )
      const layer = Mock.layer((request) => {
        const { content } = request.messages.at(-1) ?? {}
        return `{"double":${Number(content) * 2}}`
      })
      const outcomes = yield* Effect.provide(batch(requests), layer)
      expect(outcomes.map((outcome) => Either.getOrThrow(outcome).value.double)).toEqual([2, 4])
    })
  )

  it.scopedLive("asks again for a restored answer that does not fit the schema of this run", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-schema-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
      )
      const checkpoint = Checkpoint.layerFile(join(folder, "out.jsonl"))
      const Age = Schema.Struct({ age: Schema.Number })
      const Adult = Schema.Struct({ age: Schema.Number.pipe(Schema.filter((age) => age >= 18)) })
      const run = (schema: typeof Age, answer: string) =>
        batch([StructuredOutput.withSchema(Chat.prompt("How old?"), schema)], { checkpoint }).pipe(
          Effect.provide(Mock.layer(() => answer)),
          Effect.map(([outcome]) => outcome && Either.getOrThrow(outcome).value.age)
        )
      expect(yield* run(Age, `{"age":3}`)).toBe(3)
      expect(yield* run(Age, `{"age":4}`)).toBe(3)
      expect(yield* run(Adult, `{"age":30}`)).toBe(30)
    })
  )
})
