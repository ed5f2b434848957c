/** Where the log of a run goes: to stderr, above what is drawn there, and into a file. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as PlatformLogger from "@effect/platform/PlatformLogger"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Log as ConfiguredLog } from "../internal/configServices.js"
import * as Observe from "../internal/observe.js"
import type { RunFlags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { checkWritable } from "./checkFiles.js"
import * as Progress from "./progress.js"
import { type Paint, paintFor, type Style } from "./progressStyle.js"

export interface Log {
  /** What the lines are written above. */
  readonly display: Progress.Display
  /** Tells the user a line, or several, and writes them into the file. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Writes it into the file alone. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Runs the effect, and all that it starts, with this log. The file has its failure as well. */
  readonly provide: <A, R>(effect: Effect.Effect<A, CliError, R>) => Effect.Effect<A, CliError, R>
}

type Loggers = HashSet.HashSet<Logger.Logger<unknown, unknown>>

const textOf = (part: unknown): string =>
  typeof part === "string" ? part : Inspectable.toStringUnknown(part, 0)

const styles: Readonly<Record<string, Style>> = { WARN: "yellow", ERROR: "red", FATAL: "red" }

/** `12:04:11 WARN  what happened  key=value`, and the cause below. */
const forPeople = (paint: Paint): Logger.Logger<unknown, string> =>
  Logger.make(({ annotations, cause, date, logLevel, message }) => {
    const { label } = logLevel
    const text = (Array.isArray(message) ? message : [message]).map(textOf).join(" ")
    const more = Array.from(HashMap.entries(annotations), ([key, value]) => `  ${key}=${textOf(value)}`)
    const why = Cause.isEmpty(cause) ? "" : `\n${Cause.pretty(cause, { renderErrorCause: true })}`
    const time = date.toTimeString().slice(0, 8)
    return `${paint(time, "dim")} ${paint(label.padEnd(5), styles[label])} ${text}${paint(more.join(""), "dim")}${why}\n`
  })

const asJson = Logger.map(
  Logger.structuredLogger,
  (entry) => `${JSON.stringify({ type: "log", ...entry })}\n`
)

/** JSON for a file that says so by its ending, and else logfmt. */
const fileFormat = (path: string): Logger.Logger<unknown, string> =>
  /\.(json|jsonl|ndjson)$/i.test(path) ? Logger.jsonLogger : Logger.logfmtLogger

/** Appends, a second at a time and when the scope closes. */
const openFile = (path: string) =>
  fileFormat(path).pipe(
    PlatformLogger.toFile(path, { flag: "a", batchWindow: "1 second" }),
    Effect.mapError(
      (error) => new CliError({ message: `--log-file: cannot write ${path}: ${error.message}`, cause: error })
    )
  )

/** The log of a run; the file is flushed when the scope closes. */
export const open = (
  flags: Pick<RunFlags, "progress" | "noProgress" | "stats" | "logFile" | "verbose">,
  settings: Pick<ConfiguredLog, "level" | "file">
): Effect.Effect<Log, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const { stderr, env } = process
    const mode = flags.noProgress ? "none" : flags.progress
    const display = Progress.make({ mode, stats: flags.stats }, stderr, env)
    const file = flags.logFile ?? settings.file
    if (file !== undefined) yield* checkWritable("log-file", file)
    const written = file === undefined ? [] : [yield* openFile(file)]
    const lines = display.isJson ? asJson : forPeople(paintFor(stderr, env))
    const loggers: Loggers = HashSet.make(Logger.map(lines, display.print), ...written)
    const fileOnly: Loggers = HashSet.fromIterable(written)
    const level = LogLevel.fromLiteral(settings.level ?? (flags.verbose ? "Debug" : "Info"))
    const note = (text: string) => Effect.locally(Effect.logInfo(text), FiberRef.currentLoggers, fileOnly)
    return {
      display,
      say: (text) =>
        Effect.zipRight(
          Effect.sync(() =>
            display.print(
              display.isJson ? `${JSON.stringify({ type: "message", message: text })}\n` : `${text}\n`
            )
          ),
          note(text)
        ),
      note,
      provide: (effect) => {
        const told = Effect.tapError(effect, ({ message }) =>
          Effect.locally(Effect.logError(message), FiberRef.currentLoggers, fileOnly)
        )
        return Logger.withMinimumLogLevel(Effect.locally(told, FiberRef.currentLoggers, loggers), level)
      }
    }
  })

/** Logs attempts as they end: all of them where `each` says so, and else those that failed, where the log is that fine. */
export const attempts = (each: boolean): Layer.Layer<never> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const level = each ? LogLevel.Info : LogLevel.Debug
      if (LogLevel.greaterThan(yield* FiberRef.get(FiberRef.currentMinimumLogLevel), level))
        return Layer.empty
      const run = Runtime.runFork(yield* Effect.runtime<never>())
      return Observe.add({
        attempt: ({ attempt, endpoint, error, key, latencyMs, model, outcome, requestId }) => {
          if (error === undefined && !each) return
          const facts = { endpoint, model, attempt, latencyMs, status: error?.status, code: error?.code }
          const known = Object.entries({ ...facts, requestId, key }).filter(
            ([, value]) => value !== undefined
          )
          const said = error === undefined ? outcome : `${outcome}: ${error.message}`
          run(Effect.annotateLogs(Effect.logWithLevel(level, said), Object.fromEntries(known)))
        }
      })
    })
  )
