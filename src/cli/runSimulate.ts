/** What `floodgate simulate` does: serves until it is interrupted. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import type * as Scope from "effect/Scope"
import { reasonOf, writeReasonOf } from "../internal/fileReason.js"
import * as Simulator from "../Simulator.js"
import { CliError } from "./CliError.js"
import { faultScript } from "./faultScript.js"
import { checkPositive, duration, parseDuration, wrong } from "./flags.js"
import type { Flags } from "./simulateCommand.js"

/** `A`, or `A..B`. */
const distribution = <A>(
  flag: string,
  written: string,
  wanted: string,
  parse: (text: string) => Option.Option<A>,
  order: Order.Order<A>
): Effect.Effect<Simulator.Distribution<A>, CliError> => {
  const [from = "", to] = written.split("..")
  const bounds = Option.all([parse(from), to === undefined ? Option.some(undefined) : parse(to)]).pipe(
    Option.filter(([min, max]) => max === undefined || order(min, max) <= 0)
  )
  return Option.match(bounds, {
    onNone: () => wrong(`--${flag} takes ${wanted}, not "${written}"`),
    onSome: ([min, max]) => Effect.succeed(max === undefined ? min : { kind: "uniform" as const, min, max })
  })
}

const wanted = {
  time: "a time such as 300ms, or a range such as 200ms..2s",
  tokens: "a whole number such as 50, or a range such as 20..60"
}

const wholeNumber = (text: string): Option.Option<number> =>
  /^\d+$/.test(text.trim()) ? Option.some(Number(text)) : Option.none()

/** `5%` or `0.05`. */
const share = (text: string): Option.Option<number> => {
  const value = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text)
  return text !== "" && value >= 0 && value <= 1 ? Option.some(value) : Option.none()
}

const plainKinds = [
  "reset",
  "stall",
  "truncate",
  "malformed",
  "errorBody",
  "refusal",
  "contentFilter",
  "empty"
] as const

const isPlainKind = (kind: string): kind is (typeof plainKinds)[number] =>
  (plainKinds as ReadonlyArray<string>).includes(kind)

/** `500=5%`, `429=5%:1s`, `reset=2%`, `delay=1%:10s`. */
const parseFault = (written: string): Effect.Effect<Simulator.RatedFault, CliError> => {
  const [, kind = "", rateText = "", timeText] = /^([^=]+)=([^:]+)(?::(.+))?$/.exec(written) ?? []
  const rate = Option.getOrUndefined(share(rateText))
  const time = timeText === undefined ? undefined : Option.getOrUndefined(duration(timeText))
  if (rate !== undefined && (timeText === undefined) === (time === undefined)) {
    if (/^[45]\d\d$/.test(kind)) {
      const status = { kind: "status" as const, status: Number(kind), rate }
      return Effect.succeed(time === undefined ? status : { ...status, retryAfter: time })
    }
    if (kind === "delay" && time !== undefined) return Effect.succeed({ kind, by: time, rate })
    if (isPlainKind(kind) && time === undefined) return Effect.succeed({ kind, rate })
  }
  return wrong(
    `--fault takes KIND=SHARE or KIND=SHARE:TIME, such as 500=5%, 429=5%:1s or reset=2%, not "${written}"`
  )
}

const readScript = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const refused = (message: string, cause: unknown) =>
      new CliError({ message: `--script ${file}: ${message}`, cause })
    const text = yield* Effect.mapError(fs.readFileString(file), (error) => refused(reasonOf(error), error))
    const written = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) =>
        refused(`this is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
    })
    return yield* Either.mapLeft(faultScript(written), (reason) => refused(reason, undefined))
  })

const limitFlags = ["rps", "rpm", "rpd", "tpm", "itpm", "otpm"] as const

const options = (flags: Flags): Effect.Effect<Simulator.Options, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (flags.port < 0 || flags.port > 65_535)
      yield* wrong(`--port must be from 0 to 65535, not ${flags.port}`)
    for (const flag of limitFlags) yield* checkPositive(flag, flags[flag])
    yield* checkPositive("quota", flags.quota)
    yield* checkPositive("tokens-per-second", flags.tokensPerSecond)
    yield* checkPositive("max-concurrency", flags.maxConcurrency)
    yield* checkPositive("context-window", flags.contextWindow)
    const limits = {
      ...Object.fromEntries(
        limitFlags.flatMap((flag) => (flags[flag] === undefined ? [] : [[flag, flags[flag]]]))
      ),
      ...(flags.maxConcurrency === undefined ? undefined : { concurrency: flags.maxConcurrency })
    }
    const latency =
      flags.latency === undefined
        ? undefined
        : yield* distribution("latency", flags.latency, wanted.time, duration, Duration.Order)
    const outputTokens =
      flags.outputTokens === undefined
        ? undefined
        : yield* distribution("output-tokens", flags.outputTokens, wanted.tokens, wholeNumber, Order.number)
    const reasoningTokens =
      flags.reasoningTokens === undefined
        ? undefined
        : yield* distribution(
            "reasoning-tokens",
            flags.reasoningTokens,
            wanted.tokens,
            wholeNumber,
            Order.number
          )
    const takes =
      flags.batchTakes === undefined ? undefined : yield* parseDuration("batch-takes", flags.batchTakes)
    const expiresAfter =
      flags.batchExpires === undefined ? undefined : yield* parseDuration("batch-expires", flags.batchExpires)
    const models = flags.models?.split(",").flatMap((model) => model.trim() || [])
    if (models?.length === 0) yield* wrong("--models takes names of models with commas between")
    return {
      port: flags.port,
      host: flags.host,
      seed: flags.seed,
      strict: !flags.lenient,
      limits,
      faults: yield* Effect.forEach(flags.fault, parseFault),
      script: flags.script === undefined ? [] : yield* readScript(flags.script),
      ...(latency === undefined ? undefined : { latency }),
      ...(outputTokens === undefined ? undefined : { outputTokens }),
      ...(flags.tokensPerSecond === undefined ? undefined : { tokensPerSecond: flags.tokensPerSecond }),
      ...(models === undefined ? undefined : { models }),
      ...(reasoningTokens === undefined ? undefined : { reasoningTokens }),
      ...(flags.key === undefined ? undefined : { apiKey: flags.key }),
      ...(flags.quota === undefined ? undefined : { quota: { requests: flags.quota } }),
      batches: {
        ...(takes === undefined ? undefined : { takes }),
        ...(expiresAfter === undefined ? undefined : { expiresAfter })
      },
      ...(flags.contextWindow === undefined ? undefined : { contextWindow: flags.contextWindow }),
      ...(flags.log === undefined ? undefined : { logFile: flags.log })
    }
  })

const columns = 80

/** Each address once, and who is to be found there. */
const placesOf = (urls: Simulator.Service["urls"]): ReadonlyArray<string> => {
  const names = new Map<string, string>()
  for (const [name, url] of Object.entries(urls)) {
    const other = names.get(url)
    names.set(url, other === undefined ? name : `${other}, ${name}`)
  }
  const width = Math.max(...Array.from(names.values(), (name) => name.length))
  return Array.from(names, ([url, name]) => {
    const line = `  ${name.padEnd(width)}  ${url}`
    return line.length <= columns ? line : `  ${name}\n    ${url}`
  })
}

export const runSimulate = (
  flags: Flags
): Effect.Effect<never, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const simulator = yield* Effect.mapError(Effect.flatMap(options(flags), Simulator.make), (error) =>
      error._tag === "CliError"
        ? error
        : new CliError({
            message: isOf(error.cause, flags.log)
              ? `--log: cannot write ${flags.log}: ${writeReasonOf(error.cause)}`
              : `Cannot serve on ${flags.host}:${flags.port}: ${reason(error.cause)}`,
            cause: error.cause
          })
    )
    yield* Effect.sync(() => {
      process.stdout.write(
        [
          "Simulating the APIs of these providers, at these base URLs:",
          "",
          ...placesOf(simulator.urls),
          "",
          flags.key === undefined ? "Any key will do. For one:" : "The key is the one of --key. For one:",
          "",
          `  export OPENAI_BASE_URL=${simulator.url} OPENAI_API_KEY=${flags.key === undefined ? "any-key" : "…"}`,
          "",
          `What was asked, answered and charged: ${new URL("/__log", simulator.url)}`,
          "Ctrl-C stops.",
          ""
        ].join("\n")
      )
    })
    return yield* Effect.never
  })

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use. Choose another with --port, or any free one with --port 0",
  EACCES: "this port needs more rights than you have: choose one above 1023 with --port",
  EADDRNOTAVAIL: "this machine has no such address: choose another with --host"
}

/** Whether it is about this file. */
const isOf = (cause: unknown, file: string | undefined): boolean =>
  cause instanceof Error && file !== undefined && "path" in cause && cause.path === file

const reason = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const { code = "" } = cause as NodeJS.ErrnoException
  return reasons[code] ?? cause.message
}
