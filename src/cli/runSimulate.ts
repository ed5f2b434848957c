/** What `floodgate simulate` does: serves until it is interrupted. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Simulator from "../Simulator.js"
import { CliError } from "./CliError.js"
import { FaultScript } from "./faultScript.js"
import { checkPositive, duration, wrong } from "./flags.js"
import { reasonOf } from "./inputFile.js"
import type { Flags } from "./simulateCommand.js"

/** `A`, or `A..B`. */
const distribution = <A>(
  flag: string,
  written: string,
  parse: (text: string) => Option.Option<A>,
  order: Order.Order<A>
): Effect.Effect<Simulator.Distribution<A>, CliError> => {
  const [from = "", to] = written.split("..")
  const bounds = Option.all([parse(from), to === undefined ? Option.some(undefined) : parse(to)]).pipe(
    Option.filter(([min, max]) => max === undefined || order(min, max) <= 0)
  )
  return Option.match(bounds, {
    onNone: () => wrong(`--${flag} takes one value or a range such as A..B, not "${written}"`),
    onSome: ([min, max]) => Effect.succeed(max === undefined ? min : { kind: "uniform" as const, min, max })
  })
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

const decodeScript = Schema.decodeUnknown(Schema.parseJson(FaultScript))

const readScript = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs.readFileString(file)
    return yield* decodeScript(text, { onExcessProperty: "error" })
  }).pipe(
    Effect.mapError((error) => {
      const said = error._tag === "ParseError" ? error.message : reasonOf(error)
      return new CliError({ message: `--script ${file}: ${said}`, cause: error })
    })
  )

const options = (flags: Flags): Effect.Effect<Simulator.Options, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (flags.port < 0 || flags.port > 65_535)
      yield* wrong(`--port must be from 0 to 65535, not ${flags.port}`)
    for (const flag of ["rps", "rpm", "tpm"] as const) yield* checkPositive(flag, flags[flag])
    yield* checkPositive("tokens-per-second", flags.tokensPerSecond)
    yield* checkPositive("max-concurrency", flags.maxConcurrency)
    yield* checkPositive("context-window", flags.contextWindow)
    const limits = {
      ...(flags.rps === undefined ? undefined : { rps: flags.rps }),
      ...(flags.rpm === undefined ? undefined : { rpm: flags.rpm }),
      ...(flags.tpm === undefined ? undefined : { tpm: flags.tpm }),
      ...(flags.maxConcurrency === undefined ? undefined : { concurrency: flags.maxConcurrency })
    }
    const latency =
      flags.latency === undefined
        ? undefined
        : yield* distribution("latency", flags.latency, duration, Duration.Order)
    const outputTokens =
      flags.outputTokens === undefined
        ? undefined
        : yield* distribution("output-tokens", flags.outputTokens, wholeNumber, Order.number)
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
      ...(flags.models === undefined ? undefined : { models: flags.models.split(",").map((m) => m.trim()) }),
      ...(flags.contextWindow === undefined ? undefined : { contextWindow: flags.contextWindow }),
      ...(flags.log === undefined ? undefined : { logFile: flags.log })
    }
  })

/** Each address once, and who is to be found there. */
const placesOf = (urls: Simulator.Service["urls"]): ReadonlyArray<string> => {
  const names = new Map<string, string>()
  for (const [name, url] of Object.entries(urls)) {
    const other = names.get(url)
    names.set(url, other === undefined ? name : `${other}, ${name}`)
  }
  const width = Math.max(...Array.from(names.values(), (name) => name.length))
  return Array.from(names, ([url, name]) => `  ${name.padEnd(width)}  ${url}`)
}

export const runSimulate = (
  flags: Flags
): Effect.Effect<never, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const simulator = yield* Effect.mapError(Effect.flatMap(options(flags), Simulator.make), (error) =>
      error._tag === "CliError"
        ? error
        : new CliError({
            message: `Cannot serve on ${flags.host}:${flags.port}: ${reason(error.cause)}`,
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
          "Any key will do. For one:",
          "",
          `  export OPENAI_BASE_URL=${simulator.url} OPENAI_API_KEY=any-key`,
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

const reason = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const { code = "" } = cause as NodeJS.ErrnoException
  return reasons[code] ?? cause.message
}
