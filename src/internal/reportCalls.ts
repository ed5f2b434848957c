/** What a call log tells, read line by line. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Line } from "./callLogLine.js"
import { moneyOf } from "./reportAmount.js"
import type { ErrorClass } from "./reportData.js"
import { ErrorExamples } from "./reportErrors.js"
import { LatencySpread } from "./reportLatency.js"
import { type End, TimelineBuilder } from "./reportTimeline.js"

const decode = Schema.decodeUnknownOption(Schema.parseJson(Line))

/** What is no failure: what came of it is told elsewhere, or nothing. */
const endOf = ({ origin, outcome }: Line): End | undefined =>
  origin !== "call"
    ? "free"
    : outcome === "answered"
      ? "answered"
      : outcome === "RateLimitError"
        ? "limited"
        : outcome === "interrupted"
          ? undefined
          : "failed"

export class Calls {
  readonly timeline = new TimelineBuilder()
  readonly latency = new LatencySpread()
  /** Attempts by class of error. */
  readonly failures = new Map<string, number>()
  /** Lines that are none of a call log. */
  unreadable = 0
  calls = 0
  readonly #examples = new ErrorExamples()
  readonly #prompts: Map<string, string | undefined>

  /** `keys` are those of the requests whose prompts are wanted. */
  constructor(keys: Iterable<string>) {
    this.#prompts = new Map(Array.from(keys, (key) => [key, undefined]))
  }

  add(text: string): void {
    const found = decode(text)
    const at = Option.isSome(found) ? Date.parse(found.value.time) : Number.NaN
    if (Option.isNone(found) || Number.isNaN(at)) {
      if (text.trim() !== "") this.unreadable++
      return
    }
    const line = found.value
    if (line.key !== undefined && line.prompt !== undefined && this.#prompts.has(line.key)) {
      this.#prompts.set(line.key, line.prompt)
    }
    // a call has been told of before it was found to be wasted; what is restored was asked by an earlier run; what
    // failed before it was sent is no call
    if (line.outcome === "wasted" || line.origin === "checkpoint") return
    if (line.origin === "call" && line.attempt === 0) return
    const end = endOf(line)
    if (end !== "free") this.calls++
    if (end === "answered") this.latency.add(line.latencyMs)
    if (end === "failed" || end === "limited") {
      this.failures.set(line.outcome, (this.failures.get(line.outcome) ?? 0) + 1)
      this.#examples.add(line.outcome, { status: line.status, message: line.error ?? "" })
    }
    this.timeline.add({
      at,
      latencyMs: line.latencyMs,
      end,
      inputTokens: line.inputTokens ?? 0,
      outputTokens: line.outputTokens ?? 0,
      cost: line.cost === undefined ? 0n : moneyOf(line.cost)
    })
  }

  prompt(key: string): string | undefined {
    return this.#prompts.get(key)
  }

  examples(tag: string): ErrorClass["examples"] {
    return this.#examples.of(tag)
  }
}
