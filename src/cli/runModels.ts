/** What `floodgate models` does: asks each server for its list, or tells of the endpoints. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Endpoint } from "../Endpoint.js"
import type { Described } from "../internal/configEndpoints.js"
import { placeOf } from "../internal/configProblem.js"
import type { Configured } from "../internal/configServices.js"
import { type Listed, list } from "../internal/modelList.js"
import type { LlmError } from "../LlmError.js"
import * as Prices from "../Prices.js"
import type { CliError } from "./CliError.js"
import { columns } from "./columns.js"
import type { Services } from "./command.js"
import { addressOf } from "./configRows.js"
import { adviceFor } from "./endpointAdvice.js"
import { describedOf, reach, settingsOf, timeoutOf } from "./endpoints.js"
import type { ModelsFlags } from "./modelsCommand.js"

/** A model with its price, in US dollars for a million tokens. */
interface Offered extends Listed {
  readonly input: number | undefined
  readonly output: number | undefined
}

/** What one server offers, or why that is not known. */
interface Offer {
  readonly endpoint: Endpoint
  readonly models: Either.Either<ReadonlyArray<Offered>, Unknown>
}

interface Unknown {
  readonly message: string
  /** Whether it could be had: an API without a list is no failure. */
  readonly isFailure: boolean
}

const perMillion = (rate: Prices.Money): number => Prices.toDollars(rate * 1_000_000n)

const priced = (
  prices: Prices.Service,
  { provider }: Endpoint,
  { contextWindow, id }: Listed,
  at: number
): Offered => {
  const price = Prices.lookup(prices, { provider, model: id, at })
  // what is paid by the search has no price of tokens
  const rates = price?.perSearch === undefined ? price?.tariff.rates : undefined
  return {
    id,
    contextWindow: contextWindow ?? price?.contextWindow,
    input: rates === undefined ? undefined : perMillion(rates.input),
    output: rates === undefined ? undefined : perMillion(rates.output)
  }
}

/** Endpoints of one server and account have one list. */
const distinct = ({ router }: Configured): ReadonlyArray<Endpoint> => {
  const seen = new Set<string>()
  return router.endpoints.filter(({ apiKey, baseUrl, provider }) => {
    const key = JSON.stringify([provider, baseUrl, apiKey === undefined ? "" : Redacted.value(apiKey)])
    const isNew = !seen.has(key)
    seen.add(key)
    return isNew
  })
}

const money = (dollars: number | undefined): string =>
  dollars === undefined ? "-" : `$${dollars.toFixed(2)}`

const tokens = (count: number | undefined): string =>
  count === undefined ? "-" : count.toLocaleString("en-US")

const offersTable = (offers: ReadonlyArray<Offer>): string => {
  const isMany = offers.length > 1
  const rows = offers.flatMap(({ endpoint, models }) =>
    Either.getOrElse(models, () => []).map(({ contextWindow, id, input, output }) => [
      ...(isMany ? [endpoint.provider] : []),
      id,
      tokens(contextWindow),
      money(input),
      money(output)
    ])
  )
  const header = [...(isMany ? ["PROVIDER"] : []), "MODEL", "CONTEXT", "INPUT", "OUTPUT"]
  return rows.length === 0
    ? ""
    : `${columns([header, ...rows], isMany ? 2 : 1)}\nPrices are of a million tokens, in US dollars; - is not known.\n`
}

const offersData = (offers: ReadonlyArray<Offer>) =>
  offers.map(({ endpoint, models }) => ({
    endpoint: endpoint.id,
    provider: endpoint.provider,
    baseUrl: addressOf(endpoint.baseUrl),
    ...Either.match(models, {
      onLeft: ({ message }) => ({ error: message }),
      onRight: (models) => ({
        models: models.map(({ contextWindow, id, input, output }) => ({
          id,
          contextWindow: contextWindow ?? null,
          price: input === undefined || output === undefined ? null : { input, output }
        }))
      })
    })
  }))

const unknown = (error: LlmError, endpoint: Endpoint, described: Described | undefined): Unknown => {
  if (error._tag === "UnsupportedError") return { message: error.message, isFailure: false }
  const todo =
    error._tag === "NotFoundError"
      ? "Check the base URL: the server has no list of models there"
      : adviceFor(error, endpoint, described)
  return { message: `${error.message.replace(/\.$/, "")}. ${todo}`, isFailure: true }
}

const offersOf = (configured: Configured, timeoutMs: number) =>
  Effect.gen(function* () {
    const { prices, providers } = yield* reach(configured)
    const at = yield* Clock.currentTimeMillis
    return yield* Effect.forEach(
      distinct(configured),
      (endpoint): Effect.Effect<Offer> => {
        const provider = providers.get(endpoint.provider)
        const models =
          provider === undefined
            ? Effect.succeed(
                Either.left({ message: `there is no provider ${endpoint.provider}`, isFailure: true })
              )
            : Effect.either(
                Effect.mapBoth(list(provider, endpoint, timeoutMs), {
                  onFailure: (error) => unknown(error, endpoint, describedOf(configured, endpoint)),
                  onSuccess: (models) => models.map((model) => priced(prices, endpoint, model, at))
                })
              )
        return Effect.map(models, (models) => ({ endpoint, models }))
      },
      { concurrency: 8 }
    )
  })

const configuredRows = (configured: Configured) =>
  configured.router.endpoints.map((endpoint) => {
    const { domain, id, model, provider, weight } = endpoint
    const described = describedOf(configured, endpoint)
    const key = described?.from.api_key
    return {
      id,
      provider,
      model: model ?? null,
      baseUrl: addressOf(endpoint.baseUrl),
      key: key === undefined ? null : placeOf(key),
      weight: weight ?? 1,
      domain,
      limits: configured.domains[domain] ?? configured.domains["*"] ?? {},
      tasks: described?.tasks ?? []
    }
  })

const configuredTable = (configured: Configured): string =>
  columns(
    [
      ["ENDPOINT", "PROVIDER", "MODEL", "ADDRESS", "KEY"],
      ...configuredRows(configured).map(({ baseUrl, id, key, model, provider }) => [
        id,
        provider,
        model ?? "-",
        baseUrl,
        key ?? "-"
      ])
    ],
    5
  )

const print = (text: string) => Effect.sync(() => void process.stdout.write(text))

/** Gives the exit code: 1 where a server could not be asked. */
export const runModels = (flags: ModelsFlags): Effect.Effect<number, CliError, Services> =>
  Effect.gen(function* () {
    const timeoutMs = yield* timeoutOf(flags)
    const configured = yield* settingsOf(flags)
    if (flags.configured) {
      yield* print(
        flags.json
          ? `${JSON.stringify(configuredRows(configured), undefined, 2)}\n`
          : configuredTable(configured)
      )
      return 0
    }
    const offers = yield* offersOf(configured, timeoutMs)
    yield* print(flags.json ? `${JSON.stringify(offersData(offers), undefined, 2)}\n` : offersTable(offers))
    const unknowns = offers.flatMap(({ endpoint, models }) =>
      Either.isLeft(models) ? [{ id: endpoint.id, ...models.left }] : []
    )
    if (!flags.json) for (const { id, message } of unknowns) process.stderr.write(`${id}: ${message}\n`)
    return unknowns.some(({ isFailure }) => isFailure) ? 1 : 0
  })
