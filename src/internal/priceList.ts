/** Finds a model's price by its name: in the user's prices, then in the package's table, by rules and never by guess. */
import * as crypto from "node:crypto"
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Options, Price, Query, Rule, Service } from "../Prices.js"
import { canonicalJson } from "./cacheKey.js"
import { limitsFor } from "./limits.js"
import { type Hours, Own, type PriceFields, type PriceList } from "./priceFields.js"
import { date, type Model, type Vendor, vendors } from "./priceTable.js"
import { perSearch, type Tariff, tariffOf } from "./tariff.js"

/** Prices that cannot be used: what is wrong with them, and where. */
export class InvalidPricesError extends Schema.TaggedError<InvalidPricesError>()("InvalidPricesError", {
  message: Schema.String
}) {}

const dayMillis = 86_400_000
const hourMillis = 3_600_000

const isPeak = ({ days, hours }: Hours, at: number): boolean => {
  const hour = (at % dayMillis) / hourMillis
  return days.includes(new Date(at).getUTCDay()) && hours.some(([from, to]) => hour >= from && hour < to)
}

/** What a price has, whatever it is. */
type About = Pick<Price, "id" | "rule" | "tiers" | "cachesUnasked">

/** A price in the time that it holds. */
class Period {
  readonly begins: number
  readonly ends: number
  readonly #fields: PriceFields
  readonly #next: Period | undefined
  readonly #about: About
  /** By whether it is off-peak, and whether the next price is near. */
  readonly #made: Array<Price | undefined> = []

  constructor(fields: PriceFields, next: Period | undefined, about: About) {
    this.#fields = fields
    this.#next = next
    this.#about = about
    this.begins = fields.from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(fields.from)
    this.ends = fields.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(fields.until) + dayMillis
  }

  tariffs(): ReadonlyArray<Tariff> {
    const usual = tariffOf(this.#fields, false)
    return this.#fields.offPeak === undefined ? [usual] : [usual, tariffOf(this.#fields, true)]
  }

  /** One object for all who ask in the same circumstances. */
  at(time: number): Price {
    const { offPeak } = this.#fields
    const isOffPeak = offPeak !== undefined && !isPeak(offPeak.peak, time)
    // a call may take hours, and no longer than a day
    const isLastDay = this.#next !== undefined && time + dayMillis >= this.#next.begins
    const place = (isOffPeak ? 1 : 0) + (isLastDay ? 2 : 0)
    let price = this.#made[place]
    if (price === undefined) {
      price = this.#make(isOffPeak, isLastDay)
      this.#made[place] = price
    }
    return price
  }

  #make(isOffPeak: boolean, isLastDay: boolean): Price {
    const fields = this.#fields
    return {
      ...this.#about,
      tariff: tariffOf(fields, isOffPeak),
      possible: isLastDay ? [...this.tariffs(), ...(this.#next?.tariffs() ?? [])] : this.tariffs(),
      perSearch: perSearch(fields),
      tiers: { ...this.#about.tiers, ...fields.tiers },
      contextWindow: fields.contextWindow,
      maxOutputTokens: fields.maxOutputTokens,
      pricesAudio: fields.audioInput !== undefined || fields.audioOutput !== undefined,
      source: fields.source,
      asOf: fields.asOf,
      doubt: fields.doubt
    }
  }
}

/** The prices of a model, as found by one rule. */
type Found = ReadonlyArray<Period>

const periodsOf = (prices: PriceList, id: string, rule: Rule, vendor?: Vendor): Found => {
  const list: ReadonlyArray<PriceFields> = "input" in prices ? [prices] : prices
  const about = { id, rule, tiers: vendor?.tiers ?? {}, cachesUnasked: vendor?.cachesOnRequest !== true }
  const periods: Array<Period> = []
  for (const fields of list.toReversed()) periods.unshift(new Period(fields, periods[0], about))
  return periods
}

/** The names of one vendor's models, as they are written in lower case. */
interface Names {
  readonly vendor: Vendor
  readonly byName: ReadonlyMap<string, { readonly name: string; readonly model: Model; readonly rule: Rule }>
}

const namesOf = (vendor: Vendor): Names => {
  const byName = new Map<string, { name: string; model: Model; rule: Rule }>()
  for (const [name, model] of Object.entries(vendor.models)) {
    byName.set(name.toLowerCase(), { name, model, rule: "exact" })
    for (const other of model.names ?? []) byName.set(other.toLowerCase(), { name, model, rule: "alias" })
  }
  return { vendor, byName }
}

const named = vendors.map(namesOf)
const byProvider = new Map(
  named.flatMap((names) => names.vendor.providers.map((provider) => [provider, names] as const))
)
const byPrefix = new Map(
  named.flatMap((names) => (names.vendor.prefixes ?? []).map((prefix) => [prefix, names] as const))
)

/** Providers that pass a request on to the vendor that its model names. */
const routers: ReadonlySet<string> = new Set(["openrouter", "openai-compatible"])

interface Match {
  readonly vendor: Vendor
  readonly name: string
  readonly model: Model
  readonly rule: Rule
}

const within = ({ byName, vendor }: Names, given: string): Match | undefined => {
  const name = vendor.spelled?.(given) ?? given
  const known = byName.get(name)
  if (known !== undefined) return { vendor, ...known }
  if (vendor.dated === undefined) return undefined
  const base = name.replace(vendor.dated, "")
  const found = base === name ? undefined : byName.get(base)
  if (found === undefined || found.model.except?.includes(name) === true) return undefined
  return { vendor, ...found, rule: "dated" }
}

const match = (provider: string, model: string): Match | undefined => {
  const name = model.toLowerCase()
  const names = byProvider.get(provider)
  if (names !== undefined) return within(names, name)
  const slash = name.indexOf("/")
  if (!routers.has(provider) || slash === -1) return undefined
  const vendor = byPrefix.get(name.slice(0, slash))
  const found = vendor === undefined ? undefined : within(vendor, name.slice(slash + 1))
  return found === undefined ? undefined : { ...found, rule: "routed" }
}

/** How many names are remembered. More than any run has, unless they are made up. */
const remembered = 1_000

const serviceOf = (version: string, own: Own): Service => {
  const override = new Map(Object.entries(own.override ?? {}).map(([id, price]) => [id.toLowerCase(), price]))
  const add = Object.fromEntries(
    Object.entries(own.add ?? {}).map(([id, price]) => [id.toLowerCase(), { id, price }])
  )
  const memory = new Map<string, Found>()

  const search = (provider: string, model: string): Found => {
    const added = limitsFor(add, `${provider}/${model}`.toLowerCase())
    if (added !== undefined) return periodsOf(added.price, added.id, "own")
    const found = match(provider, model)
    if (found === undefined) return []
    const id = `${found.vendor.name}/${found.name}`
    const price = override.get(id.toLowerCase())
    return price === undefined
      ? periodsOf(found.model.price, id, found.rule, found.vendor)
      : periodsOf(withLimits(price, found.model), id, "own", found.vendor)
  }

  const periods = (provider: string, model: string): Found => {
    const key = `${provider}\n${model}`
    const known = memory.get(key)
    if (known !== undefined) return known
    const found = search(provider, model)
    if (memory.size >= remembered) memory.clear()
    memory.set(key, found)
    return found
  }

  const find = ({ at, family, model, provider }: Query): Price | undefined => {
    let found = periods(provider, model)
    if (found.length === 0 && family !== undefined) found = periods(provider, family)
    for (const period of found) if (at >= period.begins && at < period.ends) return period.at(at)
    return undefined
  }

  return { version, find, ids: [...tableIds, ...Object.values(add).map(({ id }) => id)] }
}

/** What a model takes stays, whatever it costs. */
const withLimits = (price: PriceList, { price: listed }: Model): PriceList => {
  const { contextWindow, maxOutputTokens } = "input" in listed ? listed : listed[0]
  const limited = (fields: PriceFields): PriceFields => ({
    ...(contextWindow === undefined ? undefined : { contextWindow }),
    ...(maxOutputTokens === undefined ? undefined : { maxOutputTokens }),
    ...fields
  })
  if ("input" in price) return limited(price)
  const [first, ...rest] = price
  return [limited(first), ...rest.map(limited)]
}

const tableIds: ReadonlyArray<string> = vendors.flatMap(({ models, name }) =>
  Object.keys(models).map((model) => `${name}/${model}`)
)

export const table: Service = serviceOf(date, {})

const refused = (message: string) => Effect.fail(new InvalidPricesError({ message }))

const decodeOwn = ParseResult.decodeUnknownEither(Own, { errors: "all", onExcessProperty: "error" })

const decode = (value: unknown, where: string): Effect.Effect<Own, InvalidPricesError> =>
  Either.match(decodeOwn(value), {
    onLeft: (issue) =>
      refused(
        `${where}: ${ParseResult.ArrayFormatter.formatIssueSync(issue)
          .slice(0, 3)
          .map(({ message, path }) => `${path.join(".")}: ${message}`)
          .join("; ")}`
      ),
    onRight: (own) => Effect.succeed(own)
  })

const readOwn = (file: string): Effect.Effect<Own, InvalidPricesError> =>
  Effect.tryPromise({
    try: async (): Promise<unknown> => JSON.parse(await readFile(file, "utf8")),
    catch: (cause) =>
      new InvalidPricesError({
        message: `The prices in ${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  }).pipe(Effect.flatMap((value) => decode(value, `The prices in ${file}`)))

const known = new Set(tableIds.map((id) => id.toLowerCase()))

/** A name that is nowhere, or in the wrong place, would be a price that never applies. */
const misplaced = ({ add = {}, override = {} }: Own): string | undefined => {
  const missing = Object.keys(override).find((id) => !known.has(id.toLowerCase()))
  if (missing !== undefined) return `The table has no "${missing}" to be overridden: to price it, add it`
  const twice = Object.keys(add).find((id) => known.has(id.toLowerCase()))
  if (twice !== undefined) return `"${twice}" is in the table already: to change its price, override it`
  const bare = Object.keys(add).find((id) => !id.includes("/") && !id.includes("*"))
  return bare === undefined ? undefined : `"${bare}" names no provider: write it as "provider/model"`
}

export const make = (options: Options): Effect.Effect<Service, InvalidPricesError> =>
  Effect.gen(function* () {
    const { file, ...given } = options
    const here = yield* decode(given, "The prices given")
    const there: Own = file === undefined ? {} : yield* readOwn(file)
    const own: Own = {
      override: { ...there.override, ...here.override },
      add: { ...there.add, ...here.add }
    }
    const wrong = misplaced(own)
    if (wrong !== undefined) return yield* refused(wrong)
    if (Object.keys(own.override ?? {}).length + Object.keys(own.add ?? {}).length === 0) return table
    const hash = crypto.createHash("sha256").update(canonicalJson(own)).digest("hex").slice(0, 8)
    return serviceOf(`${date}+own.${hash}`, own)
  })

/** A price that an endpoint states itself. */
export const stated = (fields: { readonly input: number; readonly output: number }, id: string): Price => {
  const [period] = periodsOf({ ...fields }, id, "endpoint")
  return (period as Period).at(0)
}
