/** What `floodgate test` does: makes one tiny call to every endpoint, and says what to do where it fails. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Endpoint } from "../Endpoint.js"
import type { Configured } from "../internal/configServices.js"
import { list } from "../internal/modelList.js"
import type { LlmError } from "../LlmError.js"
import type { Attempt, Provider } from "../Providers.js"
import { Chat, Embedding, type Request } from "../Request.js"
import type * as Throttle from "../Throttle.js"
import type { CliError } from "./CliError.js"
import type { Services } from "./command.js"
import { addressOf } from "./configRows.js"
import { adviceFor } from "./endpointAdvice.js"
import { describedOf, reach, settingsOf, timeoutOf } from "./endpoints.js"
import type { TestFlags } from "./testCommand.js"

/** One endpoint, tried. */
interface Tried {
  readonly endpoint: Endpoint
  readonly latencyMs: number
  /** What the server states of its limits: `500 requests a minute`. */
  readonly limits: ReadonlyArray<string>
  readonly failure: { readonly error: string; readonly message: string; readonly todo: string } | undefined
}

// a model that thinks needs room for it, and some servers take no fewer
const chat = Chat.prompt("Answer with the word OK.", { maxTokens: 64 })
const embedding = Embedding.make({ input: ["OK"] })

/** Providers that have no chats. */
const embedders: ReadonlySet<string> = new Set(["voyage", "jina"])

const isEmbedder = ({ model = "", provider }: Endpoint): boolean =>
  embedders.has(provider) || /embed/i.test(model)

const requestFor = (endpoint: Endpoint): Request => (isEmbedder(endpoint) ? embedding : chat)

const periods: Readonly<Record<Throttle.Period, string>> = {
  second: " a second",
  minute: " a minute",
  day: " a day",
  month: " a month",
  unknown: ""
}

const limitsOf = ({
  inputTokens,
  outputTokens,
  requests,
  tokens
}: Throttle.Throttle): ReadonlyArray<string> =>
  (
    [
      ["requests", requests],
      ["tokens", tokens],
      ["input tokens", inputTokens],
      ["output tokens", outputTokens]
    ] as const
  ).flatMap(([what, window]) =>
    window?.limit === undefined
      ? []
      : [`${window.limit.toLocaleString("en-US")} ${what}${periods[window.period]}`]
  )

const failureOf = (
  error: LlmError,
  endpoint: Endpoint,
  configured: Configured,
  models: ReadonlyArray<string>
): Tried["failure"] => ({
  error: error._tag,
  message: error.message,
  todo: adviceFor(error, endpoint, describedOf(configured, endpoint), models)
})

const attempt = (provider: Provider, endpoint: Endpoint, timeoutMs: number) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const made: Attempt = yield* provider.attempt(requestFor(endpoint), endpoint, timeoutMs)
    return { ...made, latencyMs: (yield* Clock.currentTimeMillis) - before }
  })

const tryOne = (
  configured: Configured,
  provider: Provider | undefined,
  endpoint: Endpoint,
  timeoutMs: number
): Effect.Effect<Tried> =>
  Effect.gen(function* () {
    const untried = (message: string, todo: string): Tried => ({
      endpoint,
      latencyMs: 0,
      limits: [],
      failure: { error: "InvalidRequestError", message, todo }
    })
    if (provider === undefined)
      return untried(`there is no provider ${endpoint.provider}`, "Name another one")
    if (endpoint.model === undefined) {
      return untried("No model", "Name one with --model, or in the config file; floodgate models lists them")
    }
    const { latencyMs, outcome, throttle } = yield* attempt(provider, endpoint, timeoutMs)
    const limits = limitsOf(throttle)
    if (Either.isRight(outcome)) return { endpoint, latencyMs, limits, failure: undefined }
    const error = outcome.left
    // what there is tells what was meant
    const models =
      error._tag === "NotFoundError"
        ? yield* Effect.orElseSucceed(
            Effect.map(list(provider, endpoint, timeoutMs), (all) => all.map(({ id }) => id)),
            () => []
          )
        : []
    return { endpoint, latencyMs, limits, failure: failureOf(error, endpoint, configured, models) }
  })

/** One line. */
const lineOf = ({ endpoint, failure, latencyMs, limits }: Tried): string => {
  const { id, model } = endpoint
  const name = model === undefined || id.includes(model) ? id : `${id} (${model})`
  return failure === undefined
    ? `✓ ${name}: answers in ${latencyMs} ms${limits.length === 0 ? "" : `; the server allows ${limits.join(", ")}`}`
    : `✗ ${name}: ${failure.message.replace(/\.$/, "")}. ${failure.todo}`
}

const dataOf = ({ endpoint, failure, latencyMs, limits }: Tried) => ({
  endpoint: endpoint.id,
  provider: endpoint.provider,
  model: endpoint.model ?? null,
  baseUrl: addressOf(endpoint.baseUrl),
  ok: failure === undefined,
  latencyMs,
  limits,
  ...(failure === undefined ? undefined : failure)
})

/** Gives the exit code: 1 where any endpoint fails. */
export const runTest = (flags: TestFlags): Effect.Effect<number, CliError, Services> =>
  Effect.gen(function* () {
    const timeoutMs = yield* timeoutOf(flags)
    const configured = yield* settingsOf(flags)
    const { providers } = yield* reach(configured)
    const tried = yield* Effect.forEach(
      configured.router.endpoints,
      (endpoint) =>
        Effect.tap(
          tryOne(configured, providers.get(endpoint.provider), endpoint, timeoutMs),
          // each as soon as it is known
          (one) => Effect.sync(() => flags.json || process.stdout.write(`${lineOf(one)}\n`))
        ),
      { concurrency: 8 }
    )
    if (flags.json)
      yield* Effect.sync(
        () => void process.stdout.write(`${JSON.stringify(tried.map(dataOf), undefined, 2)}\n`)
      )
    return tried.every(({ failure }) => failure === undefined) ? 0 : 1
  })
