/** Variables: those of the environment, and below them those of `.env` in the working folder. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as PlatformConfigProvider from "@effect/platform/PlatformConfigProvider"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"

export interface Environment {
  readonly provider: ConfigProvider.ConfigProvider
  /** A variable, unless it is unset or empty, as shells and `.env` files leave it. */
  readonly get: (name: string) => Effect.Effect<string | undefined>
  /** The names of the variables that begin so, as far as the provider can tell. */
  readonly beginning: (prefix: string) => Effect.Effect<ReadonlyArray<string>>
}

/** A provider that takes names apart at their lines gives them part by part. */
const namesBelow = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>,
  prefix: string
): Effect.Effect<ReadonlyArray<string>> =>
  provider.flattened.enumerateChildren([...path]).pipe(
    Effect.orElseSucceed(() => HashSet.empty<string>()),
    Effect.flatMap((parts) =>
      Effect.forEach(parts, (part) => {
        const name = [...path, part].join("_")
        if (!`${name}_`.startsWith(prefix)) return Effect.succeed([])
        return Effect.map(namesBelow(provider, [...path, part], prefix), (below) =>
          below.length === 0 && name.startsWith(prefix) ? [name] : below
        )
      })
    ),
    Effect.map((names) => names.flat())
  )

export const make = (provider: ConfigProvider.ConfigProvider): Environment => ({
  provider,
  beginning: (prefix) => namesBelow(provider, [], prefix),
  get: (name) =>
    provider.load(Config.string(name)).pipe(
      Effect.map((value) => (value.trim() === "" ? undefined : value)),
      Effect.orElseSucceed(() => undefined)
    )
})

/** The environment at hand. What is really set comes before what `.env` says. */
export const environment: Effect.Effect<Environment, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const current = yield* Effect.configProviderWith(Effect.succeed)
  const there = yield* Effect.orElseSucceed(fs.exists(".env"), () => false)
  if (!there) return make(current)
  const written = yield* Effect.option(PlatformConfigProvider.fromDotEnv(".env"))
  if (written._tag === "None") {
    yield* Effect.logWarning(".env is there and cannot be read; its variables are not used")
    return make(current)
  }
  return make(ConfigProvider.orElse(current, () => written.value))
})
