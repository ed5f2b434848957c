/** A batch of all that is counted in a way of its own, and the usage that is to come to what the provider bills. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { batch, Chat, collect, Message, stream, Usage } from "floodgate"
import type * as Simulator from "floodgate/Simulator"
import type { Subject } from "./subjects.js"

// beyond the 1,024 tokens from which on prompts are cached
const long = "long ".repeat(1_500)

const content = (index: number): Message.Content => {
  switch (index % 4) {
    case 0:
      return `Question ${index} ${long}`
    case 1:
      return [{ type: "text", text: `Question ${index} ${long}`, promptCache: "5m" }]
    case 2:
      return [
        Message.text(`Question ${index}`),
        { type: "audio", data: Buffer.from(`RIFF${index}`).toString("base64"), format: "wav" }
      ]
    default:
      return `Question ${index}`
  }
}

const questions = ({ chat, thinker }: Subject, from: number): ReadonlyArray<Chat> =>
  Array.from({ length: 16 }, (_, index) =>
    Chat.prompt(content(from + index), {
      model: thinker ?? chat,
      ...(index % 2 === 0 ? { thinking: "high" } : undefined),
      unsupported: "drop"
    })
  )

/** The usage of 32 answers, half of them streamed. */
export const used = (subject: Subject) =>
  Effect.gen(function* () {
    const whole = yield* batch(questions(subject, 0))
    const streamed = yield* Effect.forEach(questions(subject, 16), (question) => collect(stream(question)))
    return [...whole.map(Either.getOrThrow), ...streamed]
      .map(({ usage }) => ({ ...usage, billedInputTokens: usage.billedInputTokens ?? usage.inputTokens }))
      .reduce(Usage.add, Usage.zero)
  })

/** What a bill has. */
export const tokenKinds = [
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "audioTokens",
  "billedInputTokens",
  "searchUnits"
] as const satisfies ReadonlyArray<keyof Simulator.Tokens>

/** Those of them that not every provider tells apart. */
export const apart: ReadonlySet<string> = new Set([
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "audioTokens"
])

/** The same in the simulator's words. */
export const asBilled = (usage: Usage.Usage): Simulator.Tokens => ({
  inputTokens: usage.inputTokens,
  outputTokens: usage.outputTokens,
  cacheReadTokens: usage.cacheReadTokens ?? 0,
  cacheWriteTokens: usage.cacheWriteTokens ?? 0,
  reasoningTokens: usage.reasoningTokens ?? 0,
  audioTokens: usage.audioInputTokens ?? 0,
  billedInputTokens: usage.billedInputTokens ?? 0,
  searchUnits: usage.searchUnits ?? 0
})
