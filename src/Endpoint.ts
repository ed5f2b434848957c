/**
 * Where requests are sent: a provider, an address, a credential and the model that answers there.
 *
 * @example
 * import { type Endpoint, Router } from "floodgate"
 * import * as Config from "effect/Config"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const endpoint = (id: string, key: string): Config.Config<Endpoint.Options> =>
 *   Config.map(Config.redacted(key), (apiKey) => ({
 *     id,
 *     provider: "openai",
 *     baseUrl: "https://api.openai.com/v1",
 *     apiKey,
 *     model: "gpt-5-mini"
 *   }))
 *
 * // two accounts, each with its quota
 * const RouterLive = Layer.unwrapEffect(
 *   Effect.map(Config.all([endpoint("first", "FIRST_KEY"), endpoint("second", "SECOND_KEY")]), (endpoints) =>
 *     Router.layer({ endpoints })
 *   )
 * )
 *
 * @module
 */
import type * as Redacted from "effect/Redacted"
import type { ChatFields } from "./Request.js"

/** What a million tokens cost, in US dollars. It goes before the price of the table; see `Prices`. */
export interface Price {
  readonly input: number
  readonly output: number
}

/**
 * The fields of a request that an endpoint may give; not what is asked, what an answer is to look like, or how it is
 * cached: that is for requests and tasks to say.
 */
export type Parameters = Partial<
  Omit<ChatFields, "messages" | "id" | "metadata" | "task" | "model" | "cache" | "responseFormat">
>

/** One place that answers requests. Plain data; a `Provider` knows how to talk to it. */
export interface Endpoint {
  /** Unique among the endpoints of a router; shown in answers' `meta` and in progress. */
  readonly id: string
  /** Name of the provider whose wire protocol is spoken there, such as `"openai"`. */
  readonly provider: string
  /**
   * Base of all paths, without a slash at the end: `"https://api.openai.com/v1"`. A query, such as
   * `?api-version=1`, goes with every call.
   */
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
  /** Sends the key as `Authorization: Bearer` to a provider that has a header of its own for keys. */
  readonly keyHeader?: "authorization" | undefined
  /** The model for requests that name none. */
  readonly model?: string | undefined
  /**
   * The model by its maker's name, such as `"gpt-5-mini"`, where the name it is asked by does not tell: an Azure
   * deployment, an alias of a gateway. It decides how parameters are spelled and which ones there are.
   */
  readonly family?: string | undefined
  /**
   * Defaults for requests whose kind has such a field, where neither the request nor its task says otherwise. They are
   * part of the cache key: what all endpoints that may be asked agree on counts as said by the request itself; where
   * they differ, an answer is only found again by a router whose endpoints say the same.
   */
  readonly parameters?: Parameters | undefined
  /** Further headers of every call. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What shares a quota with this endpoint: endpoints of one account and model name the same one. */
  readonly domain: string
  /**
   * Whose answers these are, as far as the cache key tells them apart: by default the host of `baseUrl`
   * (`"local"` for this machine, whatever the port), so that answers of a simulator are never taken for a
   * provider's. Endpoints that give equal answers may share one.
   */
  readonly source: string
  /** How much of the work it gets, against the others of its router, by strategies that weigh. Default 1. */
  readonly weight?: number | undefined
  /** For the strategy `lowestCost`, and for what calls cost. Default: the price of `Prices`, if it has one. */
  readonly price?: Price | undefined
  /**
   * Tokens that prompt and answer may have together. A request that was too long for an endpoint goes only to one
   * whose window is known to be larger.
   */
  readonly contextWindow?: number | undefined
}

/** The fields of an {@link Endpoint} that can be left out have defaults made from the others. */
export interface Options extends Omit<Endpoint, "id" | "domain" | "source"> {
  /** Default: provider, host and model; a router adds `#2`, `#3` where that is taken. */
  readonly id?: string | undefined
  /** Default: the id, so that two keys at one address are two quotas. Keys of one account name one domain. */
  readonly domain?: string | undefined
  /** Default: the host, `"local"` for a loopback address. */
  readonly source?: string | undefined
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\]|0\.0\.0\.0)$/

const sourceOf = (baseUrl: string): string => {
  if (!URL.canParse(baseUrl)) return baseUrl
  const { hostname } = new URL(baseUrl)
  return loopback.test(hostname) ? "local" : hostname
}

/** An endpoint with its defaults filled in. */
export const make = (options: Options): Endpoint => {
  // slashes in a query mean something
  const baseUrl = options.baseUrl.replace(/^([^?#]*?)\/+(?=$|[?#])/, "$1")
  const source = options.source ?? sourceOf(baseUrl)
  const id = options.id ?? [options.provider, source, options.model].filter(Boolean).join("/")
  return { ...options, baseUrl, id, source, domain: options.domain ?? id }
}

/** The address of `path` (with its slash) below the endpoint's base; the base's query stays, at the end. */
export const url = (endpoint: Endpoint, path: string): string => {
  const [base = ""] = endpoint.baseUrl.split("#", 1)
  const query = base.indexOf("?")
  if (query === -1) return base + path
  // the path may have a query of its own
  const own = path.includes("?") ? `&${base.slice(query + 1)}` : base.slice(query)
  return base.slice(0, query) + path + own
}
