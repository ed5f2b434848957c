/** The endpoints that settings describe: what a file leaves out is as the provider's own variables have it. */
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Endpoint from "../Endpoint.js"
import { address } from "./configFields.js"
import { type Loaded, problemsOf } from "./configLoad.js"
import { fieldsOf } from "./configParameters.js"
import { type ConfigFileError, type Origin, type Problem, pathText } from "./configProblem.js"
import type { Limits, Endpoint as Written } from "./configSchema.js"
import { suggestion } from "./nearest.js"
import { type Entry, find, names } from "./providerRegistry.js"

/** An endpoint with what a file says of it besides. */
export interface Described {
  readonly options: Endpoint.Options & { readonly id?: string | undefined }
  readonly entry: Entry
  readonly limits: Limits | undefined
  readonly tasks: ReadonlyArray<string>
  /** Where it stands in the file; absent for the one of the environment. */
  readonly path: ReadonlyArray<PropertyKey> | undefined
  /** Where a field is from that the file leaves out, or has a variable for; absent: a default, or the file. */
  readonly from: Readonly<Record<"api_key" | "base_url" | "model", Origin | undefined>>
}

const messageOf = (error: ConfigError.ConfigError): string =>
  ConfigError.isConfigError(error) && (error._op === "And" || error._op === "Or")
    ? messageOf(error.left)
    : "message" in error
      ? error.message
      : ""

const isAddress = Schema.is(Schema.typeSchema(address))

/** A key that stands in the file itself, and no variable of it. */
export const isLiteral = (written: unknown): boolean => typeof written === "string" && !written.includes("${")

/** What an endpoint of the file comes to, or what it lacks. */
const describe = (
  { environment, origin, written: asWritten }: Loaded,
  written: Written,
  path: ReadonlyArray<PropertyKey> | undefined
): Effect.Effect<Either.Either<Described, Problem>> =>
  Effect.gen(function* () {
    const {
      api_key,
      base_url,
      context_window,
      enabled: _,
      headers,
      key_header,
      limits,
      parameters,
      tasks,
      ...rest
    } = written
    const problem = (name: string, message: string): Either.Either<never, Problem> =>
      Either.left({
        origin: path === undefined ? { kind: "default" } : origin([...path, name]),
        path: pathText([...(path ?? []), ...(name === "" ? [] : [name])]),
        message
      })
    const entry = find(written.provider)
    if (entry === undefined) return problem("provider", `no provider "${written.provider}"`)

    let explicit: Redacted.Redacted | undefined
    let keyFrom: Origin | undefined
    if (api_key !== undefined && path !== undefined) {
      const at = [...path, "api_key"]
      if (Redacted.isRedacted(api_key)) {
        explicit = api_key
        keyFrom = origin(at)
      } else {
        const value = yield* environment.get(api_key.env)
        if (value === undefined) return problem("api_key", `the variable ${api_key.env} is not set`)
        if (!/^[\x21-\x7e]+$/.test(value.trim())) {
          return problem("api_key", `the variable ${api_key.env} holds characters that no API key has`)
        }
        explicit = Redacted.make(value.trim())
        keyFrom = { kind: "env", name: api_key.env }
      }
      const text = asWritten(at)
      const [, variable] = typeof text === "string" ? (/^\$\{([A-Za-z_]\w*)\}$/.exec(text) ?? []) : []
      if (variable !== undefined) keyFrom = { kind: "env", name: variable }
    }

    // the provider's own variables, as far as the file does not come before them
    const known = new Map<string, string>()
    if (explicit !== undefined && entry.key !== undefined) known.set(entry.key, Redacted.value(explicit))
    if (base_url !== undefined && entry.place !== undefined) known.set(entry.place, base_url)
    const loaded = yield* entry.load
    const found = yield* loaded.config.pipe(
      Effect.withConfigProvider(
        ConfigProvider.orElse(ConfigProvider.fromMap(known), () => environment.provider)
      ),
      Effect.either
    )
    if (Either.isLeft(found)) {
      const lacksKey = explicit === undefined && entry.key !== undefined && entry.place === undefined
      const message = messageOf(found.left)
      return path === undefined
        ? problem("", message)
        : lacksKey
          ? problem("api_key", `${message}, or write api_key: \${NAME} here`)
          : problem("base_url", `${message}, or write base_url here`)
    }
    const own = found.right
    const apiKey = explicit ?? own.apiKey
    const token = entry.token === undefined ? undefined : yield* environment.get(entry.token)
    if (apiKey === undefined && token === undefined && entry.keyless !== true) {
      return problem("api_key", `missing: ${entry.key} is not set, nor is ${entry.token}`)
    }
    const firstSet = (names: ReadonlyArray<string>) =>
      Effect.map(
        Effect.forEach(names, (name) => Effect.map(environment.get(name), (value) => [name, value] as const)),
        (all): Origin | undefined => {
          const [name] = all.find(([, value]) => value !== undefined) ?? []
          return name === undefined ? undefined : { kind: "env", name }
        }
      )
    if (keyFrom === undefined) {
      keyFrom = yield* firstSet(
        [entry.key, ...(entry.keys ?? []), entry.token].filter((name) => name !== undefined)
      )
    }
    const baseUrl = base_url ?? own.baseUrl
    const from: Described["from"] = {
      api_key: keyFrom,
      base_url: base_url === undefined ? yield* firstSet(entry.bases ?? []) : undefined,
      model:
        rest.model === undefined && entry.model !== undefined ? yield* firstSet([entry.model]) : undefined
    }
    if (!isAddress(baseUrl)) {
      const hint = path === undefined ? "; pass --base-url, or write base_url into the config file" : ""
      return baseUrl === ""
        ? problem("base_url", `missing: the address of the server${hint}`)
        : Either.left({
            origin: from.base_url ?? { kind: "default" },
            path: "base_url",
            message: "expected an address that starts with http:// or https://"
          })
    }
    const ofFile = Object.entries(headers ?? {}).map(
      ([name, value]) => [name, Redacted.value(value)] as const
    )
    return Either.right<Described>({
      options: {
        ...own,
        // headers of the environment's account are none of another key's
        headers: { ...(explicit === undefined ? own.headers : undefined), ...Object.fromEntries(ofFile) },
        ...rest,
        model: rest.model ?? own.model,
        family: rest.family ?? own.family,
        provider: own.provider,
        apiKey,
        keyHeader: key_header ?? (explicit === undefined ? own.keyHeader : undefined),
        baseUrl,
        contextWindow: context_window,
        // in the spelling of files
        parameters: parameters && (fieldsOf(parameters) as Endpoint.Parameters)
      },
      entry,
      limits,
      tasks: tasks ?? [],
      path,
      from
    })
  })

const fault = (origin: Origin, message: string): ConfigFileError =>
  problemsOf([{ origin, path: "", message }])

/** Those of the file that flags and variables leave, with what they say in place of the file. */
const chosenOf = ({
  chosen,
  settings
}: Loaded): Either.Either<
  ReadonlyArray<readonly [written: Written, path: ReadonlyArray<PropertyKey> | undefined]>,
  ConfigFileError
> => {
  const { provider, model, "base-url": baseUrl } = chosen
  const name = names.find((name) => name === provider?.value)
  let left: ReadonlyArray<readonly [Written, ReadonlyArray<PropertyKey> | undefined]> = (
    settings.endpoints ?? []
  ).flatMap((endpoint, index) =>
    endpoint.enabled === false ? [] : [[endpoint, ["endpoints", index]] as const]
  )
  if (provider !== undefined) {
    left = left.filter(([{ id, provider: of }]) => of === provider.value || id === provider.value)
    if (left.length === 0 && name === undefined) {
      return Either.left(
        fault(
          provider.origin,
          `no provider "${provider.value}"${suggestion(provider.value, names)}; there are ${names.join(", ")}`
        )
      )
    }
  }
  if (left.length === 0) left = [[{ provider: name ?? "openai" }, undefined]]
  if (model !== undefined) {
    const having = left.filter(([{ id, model: of }]) => of === model.value || id === model.value)
    const providers = new Set(left.map(([{ provider }]) => provider))
    if (having.length === 0 && providers.size > 1) {
      const models = [...new Set(left.flatMap(([endpoint]) => endpoint.model ?? []))]
      return Either.left(
        fault(
          model.origin,
          `no endpoint has the model "${model.value}"${suggestion(model.value, models)}; say whose it is with --provider`
        )
      )
    }
    left =
      having.length > 0 ? having : left.map(([one, path]) => [{ ...one, model: model.value }, path] as const)
  }
  if (baseUrl !== undefined) {
    if (!isAddress(baseUrl.value)) {
      return Either.left(fault(baseUrl.origin, "expected an address that starts with http:// or https://"))
    }
    if (left.length > 1) {
      return Either.left(
        fault(baseUrl.origin, `there are ${left.length} endpoints; choose one with --provider or --model`)
      )
    }
    left = left.map(([one, path]) => [{ ...one, base_url: baseUrl.value }, path] as const)
  }
  return Either.right(left)
}

/** All endpoints of a run: those of the file, or the one that the environment describes. */
export const endpoints = (
  loaded: Loaded
): Effect.Effect<readonly [Described, ...ReadonlyArray<Described>], ConfigFileError> =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(yield* chosenOf(loaded), ([written, path]) =>
      describe(loaded, written, path)
    )
    const problems = found.flatMap((one) => (Either.isLeft(one) ? [one.left] : []))
    const ids = new Map<string, ReadonlyArray<PropertyKey>>()
    const described = found.flatMap((one) => (Either.isRight(one) ? [one.right] : []))
    for (const { options, path = [] } of described) {
      if (options.id === undefined) continue
      const at = [...path, "id"]
      if (ids.has(options.id)) {
        problems.push({
          origin: loaded.origin(at),
          path: pathText(at),
          message: `the id "${options.id}" is taken by ${pathText(ids.get(options.id) ?? [])}`
        })
      } else ids.set(options.id, path)
    }
    const [first, ...rest] = described
    if (problems.length > 0 || first === undefined) return yield* problemsOf(problems)
    return [first, ...rest] as const
  })
