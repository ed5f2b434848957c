/**
 * Settings in a file: endpoints, limits, router, tasks, cache, retries, as YAML.
 *
 * ```yaml
 * # yaml-language-server: $schema=node_modules/floodgate/floodgate.schema.json
 * endpoints:
 *   - id: mini
 *     provider: openai
 *     model: gpt-5-mini
 *     api_key: ${OPENAI_API_KEY}
 *     limits: { rpm: 500, tpm: 200000 }
 * tasks:
 *   label:
 *     system: Answer with one word.
 *     parameters: { max_tokens: 5 }
 *     endpoints: [mini]
 * cache: { store: answers.db, ttl: 30d }
 * ```
 *
 * **Which file**: the one that is named, or that `FLOODGATE_CONFIG` names; else `floodgate.yaml` or `floodgate.yml` in
 * the working folder; else `~/.floodgate/config.yaml`. Where there is none, the environment alone describes an
 * endpoint: `FLOODGATE_PROVIDER` (default `openai`) and the variables of that provider.
 *
 * **What comes first**: `FLOODGATE_*` variables, named after the flags of the command line (`FLOODGATE_RPM`), come
 * before the file. A limit given so holds for every group of limits. What an endpoint leaves out, its key above all, is
 * as the provider's own variables have it; what it says itself stays, so that two accounts stay two. Variables of
 * `.env` in the working folder count where the environment has none of that name.
 *
 * **Variables**: `${NAME}` in any text, `${NAME:-default}`, and `$${` for a text that has `${`. One that is not set is an
 * error, unless its endpoint says `enabled: false`.
 *
 * **Errors**: all at once, each with file, line, column, path, what was expected, and for a misspelt name the right one.
 * Secrets are in none of them.
 *
 * Places in the file are relative to its folder. Limits are found for each domain: those of its endpoint, over those of
 * the pattern that fits its name or model best, over those of `*`.
 *
 * @module
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Batch from "./Batch.js"
import type { CacheStoreError } from "./CacheStore.js"
import type { ConfigFileError, Problem } from "./internal/configProblem.js"
import type * as ConfigServices from "./internal/configServices.js"
import type { RateLimiterStoreError } from "./RateLimiterStore.js"

export { ConfigFileError, type Origin, type Problem } from "./internal/configProblem.js"

/** The services that a file describes. */
export type Services = ConfigServices.Services | Settings

/** What a file says that is not in a service. */
export interface Service {
  /** The file that was read; absent where there was none. */
  readonly file: string | undefined
  /** Its `batch`, `timeout`, `deadline` and cache mode, for `batch` and `complete`: they are options of each run. */
  readonly options: Batch.Options
  /** The most a run may cost, as it is written: `Prices.parse` reads it. */
  readonly budget: string | undefined
  /** What is to be logged: the least level (default `Info`), the file (default standard error), and whether each call. */
  readonly log: ConfigServices.Log
  /** What is no error: a key that stands in the file, limits that fit no endpoint. */
  readonly warnings: ReadonlyArray<Problem>
}

/** See {@link Service}. */
export class Settings extends Context.Tag("floodgate/ConfigFile/Settings")<Settings, Service>() {}

/** What a layer of this module fails with. */
export type Failure = ConfigFileError | CacheStoreError | RateLimiterStoreError

// loaded when used: most programs have no file
const modules = Effect.all({
  services: Effect.promise(() => import("./internal/configServices.js")),
  problem: Effect.promise(() => import("./internal/configProblem.js"))
})

/**
 * The same as {@link layer}, over the file system at hand.
 */
export const layerFileSystem = (
  path?: string
): Layer.Layer<Services, Failure, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { problem, services } = yield* modules
      const configured = yield* services.configure({ path })
      for (const warning of configured.warnings) yield* Effect.logWarning(problem.format(warning))
      const settings = Layer.succeed(Settings, {
        file: configured.loaded.file,
        options: { ...configured.options, budget: configured.loaded.settings.budget },
        budget: configured.loaded.settings.budget,
        log: configured.log,
        warnings: configured.warnings
      })
      return Layer.merge(services.services(configured), settings)
    })
  )

// the file system of Node, for those who have no other
const node = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() =>
      Promise.all([import("@effect/platform-node/NodeFileSystem"), import("@effect/platform-node/NodePath")])
    ),
    ([fileSystem, path]) => Layer.merge(fileSystem.layer, path.layer)
  )
)

/**
 * All that `batch` and `complete` need, from a config file: providers, a router, a limiter, a cache, a retry policy,
 * prices, a connection pool; and the {@link Settings} of a run. Bind it once: two layers are two quotas.
 *
 * @example
 * import { batch, Chat, ConfigFile } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const { options } = yield* ConfigFile.Settings
 *   return yield* batch([Chat.prompt("Is a tomato a fruit?")], { ...options, task: "label" })
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(ConfigFile.layer("floodgate.yaml"))))
 */
export const layer = (path?: string): Layer.Layer<Services, Failure> =>
  Layer.provide(layerFileSystem(path), node)
