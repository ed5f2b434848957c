/** What asks one thing at a time: the services as the settings describe them, and an answer with all that it took. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import type * as Scope from "effect/Scope"
import * as Completer from "../internal/completer.js"
import { format } from "../internal/configProblem.js"
import { type Configured, configure, services } from "../internal/configServices.js"
import type { LlmError } from "../LlmError.js"
import type { Outcome } from "../Outcome.js"
import * as RateLimiter from "../RateLimiter.js"
import type { Chat, ChatFields } from "../Request.js"
import type { ChatResponse, Meta } from "../Response.js"
import * as Retry from "../Retry.js"
import { fromResponse, type StreamPart } from "../StreamPart.js"
import { CliError } from "./CliError.js"
import { configError } from "./configError.js"
import { checkPositive, wrong } from "./flags.js"
import { GivenLogLevel } from "./logLevel.js"
import type { Flags } from "./oneRequestFlags.js"

/** Somebody waits: what does not come soon is better said than waited for. */
const interactive = { maxRetries: 3, patience: Duration.seconds(30) }
/** How long nothing may happen before it is said what is waited for. */
const quietMs = 1_500

/** An answer or why there is none, and what it took. */
export interface Answer {
  readonly outcome: Outcome<ChatResponse>
  readonly meta: Meta
}

/** Asks. Is told the parts of the answer as they come where it wants them. */
export type Ask = (chat: Chat, onPart?: (part: StreamPart) => void) => Effect.Effect<Answer>

/** The settings of a command that asks one thing at a time. `override` comes before all, by names of flags. */
export const settingsOf = (
  flags: Flags,
  override: Readonly<Record<string, unknown>> = {}
): Effect.Effect<Configured, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(
    configure({
      path: flags.config,
      flags: {
        provider: flags.provider,
        model: flags.model,
        "base-url": flags.baseUrl,
        task: flags.task,
        cache: flags.cache,
        "max-retries": flags.maxRetries,
        timeout: flags.timeout,
        deadline: flags.deadline,
        ...override
      }
    }),
    configError
  )

/** `--thinking`: an effort, or a number of tokens. */
const thinkingOf = (text: string): string | number => (/^\d+$/.test(text) ? Number(text) : text)

/** The parameters that flags set. */
export const parametersOf = (flags: Flags): Effect.Effect<Omit<ChatFields, "messages">, CliError> =>
  Effect.gen(function* () {
    yield* checkPositive("max-tokens", flags.maxTokens)
    const { maxTokens, temperature } = flags
    if (temperature !== undefined && temperature < 0) {
      return yield* wrong(`--temperature is 0 or more, not ${temperature}`)
    }
    const thinking = flags.thinking?.trim()
    // other words may be the provider's own
    if (thinking === "" || thinking?.startsWith("-")) {
      return yield* wrong(`--thinking takes off, low, medium, high or a number of tokens, not "${thinking}"`)
    }
    return {
      ...(temperature === undefined ? undefined : { temperature }),
      ...(maxTokens === undefined ? undefined : { maxTokens }),
      ...(thinking === undefined ? undefined : { thinking: thinkingOf(thinking) })
    }
  })

const waitOf = (millis: number): string =>
  Duration.format(Duration.seconds(Math.max(1, Math.round(millis / 1_000))))

/** The policy of the settings, with fewer retries where they do not say, and a word about each. */
const policyOf = (
  { loaded: { settings } }: Configured,
  say: ((text: string) => void) | undefined
): Retry.Policy => {
  const { base, cap, max_retries, patience } = settings.retry ?? {}
  const policy = Retry.make({
    maxRetries: max_retries ?? interactive.maxRetries,
    base,
    cap,
    patience: patience ?? interactive.patience
  })
  if (say === undefined) return policy
  let reason = ""
  return Retry.wrap(policy, (policy) =>
    policy.pipe(
      Schedule.tapInput(({ message }: LlmError) =>
        Effect.sync(() => {
          reason = message.replace(/[.;]$/, "")
        })
      ),
      Schedule.onDecision((_, decision) =>
        ScheduleDecision.isContinue(decision)
          ? Effect.map(Clock.currentTimeMillis, (now) =>
              say(`${reason}; trying again in ${waitOf(ScheduleIntervals.start(decision.intervals) - now)}`)
            )
          : Effect.void
      )
    )
  )
}

/** Says what is waited for, each reason once, for as long as nothing comes. */
const watch = (
  limiter: RateLimiter.Service,
  isQuiet: () => boolean,
  say: (text: string) => void
): Effect.Effect<never> => {
  let until = 0
  return Effect.forever(
    Effect.zipRight(
      Effect.sleep(quietMs),
      Effect.zipWith(limiter.states, Clock.currentTimeMillis, (domains, now) => {
        for (const { pausedUntil, pauseReason, waiting } of domains) {
          if (!isQuiet() || waiting === 0 || pausedUntil === undefined || pausedUntil <= Math.max(now, until))
            continue
          until = pausedUntil
          say(`waiting for ${waitOf(pausedUntil - now)}: ${pauseReason ?? "the server asked for it"}`)
        }
      })
    )
  )
}

/** What the library logs is in the answer's own words again: it is for those who want to know more. */
export const quietly =
  ({ verbose }: Flags) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(FiberRef.get(GivenLogLevel), (given) =>
      verbose || given !== undefined ? effect : Logger.withMinimumLogLevel(effect, LogLevel.Error)
    )

const unsent: Meta = { attempts: 0, cached: false, latencyMs: 0 }

/**
 * What asks, over the services that the settings describe; they live as long as the scope. `say` is told why nothing
 * comes for a while.
 */
export const make = (
  configured: Configured,
  say: ((text: string) => void) | undefined
): Effect.Effect<Ask, CliError, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.mapError(Layer.build(services(configured)), (error) =>
      error._tag === "ConfigFileError"
        ? configError(error)
        : new CliError({
            message:
              error._tag === "CacheStoreError"
                ? `The cache cannot be opened: ${error.message}`
                : `The limits cannot be shared: ${error.message}`,
            cause: error
          })
    )
    const limiter = Context.get(context, RateLimiter.RateLimiter)
    const completer = yield* Effect.provide(
      Completer.make({ ...configured.options, retry: policyOf(configured, say) }),
      context
    )
    const ask: Ask = (chat, onPart) =>
      Effect.gen(function* () {
        const resolved = yield* Effect.either(completer.resolve(chat))
        if (Either.isLeft(resolved)) return { outcome: Either.left(resolved.left), meta: unsent }
        let begun = false
        const told = (part: StreamPart) => {
          begun = true
          onPart?.(part)
        }
        const call = completer.complete<never>(resolved.right, onPart === undefined ? {} : { onPart: told })
        const { meta, outcome } = yield* say === undefined
          ? call
          : Effect.raceFirst(
              call,
              watch(limiter, () => !begun, say)
            )
        // a chat is answered by a chat
        const answer = outcome as Outcome<ChatResponse>
        // from the cache it comes at once
        if (!begun && onPart !== undefined && Either.isRight(answer)) {
          for (const part of fromResponse(answer.right)) onPart(part)
        }
        return { outcome: answer, meta }
      })
    return ask
  })

/** What is no error, and should be known: of variables always, of the file to those who want to know more. */
export const warningsOf = ({ warnings }: Configured, { verbose }: Flags): ReadonlyArray<string> =>
  warnings.filter(({ origin }) => verbose || origin.kind === "env").map(format)
