/**
 * A file with one line for each call, for spreadsheets and for looking things up: when, where, what was asked, how it
 * ended, tokens, cost, latency.
 *
 * - **A line for each attempt**, those that failed and those that were given up included; `attempt` counts them for each
 *   request. An answer that took no attempt has a line as well: its `origin` says whether it came from the cache
 *   (`store`), from an equal request that was under way (`flight`), or from an earlier run (`checkpoint`), and `saved`
 *   what it would have cost. So has a request that failed before any attempt, as `attempt` 0.
 * - **The format** is that of {@link Line}: as JSON, a line is an object in which fields that say nothing are left out;
 *   as CSV it has all columns, in the order of `Line`, below a line of their names. The format is kept: new fields may
 *   come behind those there are, and none is renamed or taken away.
 * - **Sums**: those of `cost` and of the tokens over all lines are what was used, the part of it where `wasted` is true in
 *   vain. An answer that is found to be wasted only after its line was written (more than a second later) gets a second
 *   line, of the outcome `wasted`, without tokens and cost.
 * - **Appended**: a file that is there goes on, so that it has all runs of an output. Lines are written within two
 *   seconds and when the layer closes; a process that is killed loses those that were not written yet.
 * - **Texts**: the prompt is cut to its first characters, and `redact` is shown it before that, and the messages of
 *   errors. Keys and headers are never part of them. In CSV, texts that a spreadsheet would run as a formula begin with
 *   an apostrophe.
 *
 * A file that cannot be written is a warning, and no more: the run goes on without it.
 *
 * @example
 * import { batch, CallLog, Chat, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const calls = CallLog.layerFile("calls.csv", {
 *   prompt: 40,
 *   redact: (text) => text.replace(/\S+@\S+/g, "(address)")
 * })
 *
 * const program = batch([Chat.prompt("1 + 1 = ?")]).pipe(Effect.provide(Layer.mergeAll(OpenAILive, calls)))
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import { CallLogFile } from "./internal/callLogFile.js"
import * as CallLogLine from "./internal/callLogLine.js"
import * as Observe from "./internal/observe.js"

/** Schema of a {@link Line}. */
export const Line = CallLogLine.Line
/** One call. */
export type Line = CallLogLine.Line

/** What {@link layerFile} takes. */
export interface Options {
  /** Default: by the ending of the path, `csv` or else `jsonl`. */
  readonly format?: "jsonl" | "csv" | undefined
  /** How many characters of the prompt are written; `false` for none. Default 80. */
  readonly prompt?: number | false | undefined
  /** Takes out of a text what is not to be written down. If it throws, the text is left out. Default: nothing. */
  readonly redact?: ((text: string) => string) | undefined
}

const flushInterval = "1 second"

const formatOf = (path: string, { format }: Options): CallLogLine.Format =>
  CallLogLine.formats[format ?? (path.toLowerCase().endsWith(".csv") ? "csv" : "jsonl")]

/**
 * Why this file could not be a call log, if there is a reason: {@link layerFile} would only warn. A file that is not
 * there is made.
 */
export const fault = (path: string, options: Options = {}): Effect.Effect<string | undefined> =>
  Effect.sync(() => {
    const file = new CallLogFile(path, formatOf(path, options))
    file.close()
    return file.fault
  })

const left = "(left out: it could not be redacted)"

/** The characters of a prompt that are written. */
const charsOf = (prompt: number | false): number =>
  prompt === false || !(prompt > 0) ? 0 : Math.floor(prompt)

const carefully =
  (redact: (text: string) => string) =>
  (text: string): string => {
    try {
      return redact(text)
    } catch {
      return left
    }
  }

/** A line in this file for each call below this layer. */
export const layerFile = (path: string, options: Options = {}): Layer.Layer<never> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const { prompt = 80, redact } = options
      const texts: CallLogLine.Texts = {
        promptChars: charsOf(prompt),
        redact: redact === undefined ? identity : carefully(redact)
      }
      const file = new CallLogFile(path, formatOf(path, options))
      let isWarned = false
      const warn = Effect.suspend(() => {
        if (file.fault === undefined || isWarned) return Effect.void
        isWarned = true
        return Effect.logWarning(`Calls are not written down in ${path}: ${file.fault}`)
      })
      yield* warn
      yield* Effect.addFinalizer(() =>
        Effect.zipRight(
          Effect.sync(() => file.close()),
          warn
        )
      )
      const flush = Effect.zipRight(
        Effect.sync(() => file.flush()),
        warn
      )
      yield* Effect.forkScoped(Effect.forever(Effect.delay(flush, flushInterval)))

      // an answer can be told to be wasted for as long as its request is under way, and no longer
      const drafts = new WeakMap<Observe.AttemptEvent, ReturnType<CallLogFile["add"]>>()
      return Observe.add({
        attempt: (event) => {
          const draft = file.add(CallLogLine.ofAttempt(event, texts))
          if (event.outcome === "answered") drafts.set(event, draft)
        },
        wasted: (event) => {
          const draft = drafts.get(event)
          if (draft === undefined || draft.isWritten) file.add(CallLogLine.ofLateWaste(event, texts))
          else draft.line = { ...draft.line, wasted: true }
        },
        request: (event) => {
          if (event.origin !== "call" || (event.attempts === 0 && event.error !== undefined)) {
            file.add(CallLogLine.ofRequest(event, texts))
          }
        }
      })
    })
  )
