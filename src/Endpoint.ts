/**
 * Where requests are sent: a provider, an address, a credential and the model that answers there.
 */
import type * as Redacted from "effect/Redacted"

/** One place that answers requests. Plain data; a {@link Provider} knows how to talk to it. */
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
  /** The model for requests that name none. */
  readonly model?: string | undefined
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
}

/** The fields of an {@link Endpoint} that can be left out have defaults made from the others. */
export interface Options extends Omit<Endpoint, "id" | "domain" | "source"> {
  /** Default: provider, host and model. */
  readonly id?: string | undefined
  /** Default: the id. */
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
  return query === -1 ? base + path : base.slice(0, query) + path + base.slice(query)
}
