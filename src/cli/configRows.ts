/** The settings in force, one by one, and where each is from. Secrets are hidden. */
import * as Redacted from "effect/Redacted"
import { isSecret } from "../internal/configDecode.js"
import { isRedis } from "../internal/configFields.js"
import { type Origin, pathText } from "../internal/configProblem.js"
import type { Configured } from "../internal/configServices.js"
import { settings } from "../internal/configSettings.js"
import { safeText } from "../internal/safeText.js"

type Path = ReadonlyArray<PropertyKey>

export interface Row {
  readonly setting: string
  readonly value: string | number | boolean
  readonly origin: Origin
}

/** What stands where a secret is. */
const hidden = "(hidden)"

/** An address without what may be a credential: user, password and query. */
export const addressOf = (url: string): string => {
  if (!URL.canParse(url)) return hidden
  const { host, pathname, protocol, search } = new URL(url)
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}${search === "" ? "" : `?${hidden}`}`
}

const secretName = /key|token|secret|password|credential|auth/i

const shown = (path: Path, value: string | number | boolean): string | number | boolean => {
  if (typeof value !== "string") return value
  const [last] = path.slice(-1)
  if (last === "store") return isRedis(value) ? addressOf(value) : safeText(value, 200)
  if (last === "base_url") return addressOf(value)
  // parameters that only the provider knows may be anything
  const isOwn = path.includes("extra") && path.some((part) => secretName.test(String(part)))
  return isSecret(path) || isOwn ? hidden : safeText(value, 200)
}

const leaves = (value: unknown, path: Path): ReadonlyArray<readonly [Path, string | number | boolean]> => {
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => leaves(item, [...path, index]))
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]))
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? [[path, value]]
    : []
}

/** What an endpoint comes to beyond what the file says of it. */
const filledIn = ({ endpoints, loaded }: Configured): ReadonlyArray<Row> =>
  endpoints.flatMap(({ from, options, path }, index) => {
    const at = path ?? ["endpoints", index]
    const written = new Set(path === undefined ? [] : leaves(loaded.raw, []).map(([leaf]) => pathText(leaf)))
    const chosen = {
      base_url: loaded.chosen["base-url"],
      model: loaded.chosen.model,
      provider: loaded.chosen.provider
    }
    const key = options.apiKey !== undefined && Redacted.value(options.apiKey) !== ""
    const fields = {
      provider: options.provider,
      model: options.model,
      base_url: addressOf(options.baseUrl),
      api_key: key || from.api_key !== undefined ? hidden : undefined
    }
    return (Object.keys(fields) as ReadonlyArray<keyof typeof fields>).flatMap((field) => {
      const value = fields[field]
      const setting = pathText([...at, field])
      const by = field === "api_key" ? undefined : chosen[field]?.origin
      if (value === undefined) return []
      if (by !== undefined) return [{ setting, value, origin: by }]
      const variable = field === "provider" ? undefined : from[field]
      if (variable !== undefined) return [{ setting, value, origin: variable }]
      return written.has(setting) ? [] : [{ setting, value, origin: { kind: "default" } as const }]
    })
  })

/** All settings in force, in the order of the file, and then those nobody speaks of. */
export const rows = (configured: Configured): ReadonlyArray<Row> => {
  const { loaded } = configured
  const filled = filledIn(configured)
  const inForce = new Set(filled.map(({ setting }) => setting))
  const used = new Set(configured.endpoints.map(({ path }) => pathText(path ?? [])))
  const said = leaves(loaded.raw, []).flatMap(([path, value]): ReadonlyArray<Row> => {
    const setting = pathText(path)
    // endpoints that are off, or not chosen, are in no force
    const isIdle = path[0] === "endpoints" && !used.has(pathText(path.slice(0, 2)))
    if (isIdle || inForce.has(setting)) return []
    return [{ setting, value: shown(path, value), origin: loaded.origin(path) }]
  })
  const spoken = new Set(said.map(({ setting }) => setting))
  const silent = settings.flatMap(({ otherwise, path }): ReadonlyArray<Row> => {
    const setting = pathText(path)
    if (otherwise === undefined || spoken.has(setting)) return []
    return [{ setting, value: otherwise, origin: { kind: "default" } }]
  })
  const isEndpoint = ({ setting }: Row) => setting.startsWith("endpoints[")
  const ofEndpoints = [...filled, ...said.filter(isEndpoint)].sort((a, b) =>
    a.setting.localeCompare(b.setting, "en", { numeric: true })
  )
  return [...ofEndpoints, ...said.filter((row) => !isEndpoint(row)), ...silent]
}

/** Where a setting is from, for people. */
export const sourceOf = (origin: Origin): string => {
  switch (origin.kind) {
    case "flag":
      return `--${origin.name}`
    case "env":
      return origin.name
    case "file":
      return `${origin.file}:${origin.line}`
    case "default":
      return "default"
  }
}
