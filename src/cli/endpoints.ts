/** The endpoints that a command looks at, and their providers. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Endpoint } from "../Endpoint.js"
import type { Described } from "../internal/configEndpoints.js"
import { format } from "../internal/configProblem.js"
import { type Configured, configure, services } from "../internal/configServices.js"
import * as Prices from "../Prices.js"
import { type Provider, Providers } from "../Providers.js"
import type { CliError } from "./CliError.js"
import { from } from "./CliError.js"
import { configError } from "./configError.js"
import { parseDuration } from "./flags.js"

/** Which endpoints are meant. */
export interface Choice {
  readonly config: string | undefined
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly baseUrl: string | undefined
  readonly timeout: string | undefined
}

export const settingsOf = (
  flags: Choice
): Effect.Effect<Configured, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(
    configure({
      path: flags.config,
      flags: {
        provider: flags.provider,
        model: flags.model,
        "base-url": flags.baseUrl,
        // nothing is asked twice, nor kept
        cache: "off",
        redis: "memory"
      }
    }),
    configError
  ).pipe(
    Effect.tap(({ warnings }) =>
      Effect.sync(() => {
        // of variables alone: what ails the file, config show tells
        for (const warning of warnings) {
          if (warning.origin.kind === "env") process.stderr.write(`${format(warning)}\n`)
        }
      })
    )
  )

/** `--timeout`, in milliseconds. */
export const timeoutOf = ({ timeout }: Choice): Effect.Effect<number, CliError> =>
  timeout === undefined
    ? Effect.succeed(30_000)
    : Effect.map(parseDuration("timeout", timeout), Duration.toMillis)

export interface Reached {
  readonly providers: { readonly get: (name: string) => Provider | undefined }
  readonly prices: Prices.Service
}

/** What endpoints are asked through. */
export const reach = (configured: Configured): Effect.Effect<Reached, CliError, Scope.Scope> =>
  Effect.map(
    Effect.mapError(Layer.build(services(configured)), (error) =>
      error._tag === "ConfigFileError" ? configError(error) : from(error)
    ),
    (context) => ({ providers: Context.get(context, Providers), prices: Context.get(context, Prices.Prices) })
  )

/** What the settings say of an endpoint of the router: a short form of models is an endpoint for each. */
export const describedOf = (
  { endpoints }: Configured,
  { id, provider, baseUrl, apiKey }: Endpoint
): Described | undefined =>
  endpoints.find(({ options }) => options.id === id) ??
  endpoints.find(
    ({ options }) => options.provider === provider && options.baseUrl === baseUrl && options.apiKey === apiKey
  )
