/** The store that `--cache` names, for the commands that look into it. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { CacheStore, type CacheStoreError, type Contents, type Service } from "../CacheStore.js"
import * as CacheStores from "../internal/cacheStores.js"
import { checkCachePlace, isRedis, placeOf, redisUrl } from "./batchLayers.js"
import { CliError } from "./CliError.js"
import { wrong } from "./flags.js"

export interface OpenStore {
  readonly store: Service
  readonly contents: Contents
  /** The cache as messages call it. */
  readonly name: string
  /** The file that it is in, if it is in one. */
  readonly file: string | undefined
}

/** The files that a cache in this one consists of: SQLite keeps others beside it while it is open. */
export const cacheFiles = (file: string): ReadonlyArray<string> =>
  ["", "-wal", "-shm", "-journal"].map((ending) => `${file}${ending}`)

/** Opens the cache. Its file must be there, unless `create` says that it may be made. */
export const openStore = (
  where: string | undefined,
  { create }: { readonly create: boolean }
): Effect.Effect<OpenStore, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    if (where === undefined) return yield* wrong("Which cache? Name its file or server with --cache PATH")
    if (where === "memory" || where === "off") {
      return yield* wrong(
        `--cache ${where}: there is nothing to look into once a run has ended. Name a file or a server, as for floodgate batch`
      )
    }
    yield* checkCachePlace(where)
    const file = isRedis(where) ? undefined : where
    const name = file ?? placeOf(where)
    if (file !== undefined && !create) {
      const fs = yield* FileSystem.FileSystem
      const isThere = yield* Effect.orElseSucceed(fs.exists(file), () => false)
      if (!isThere) return yield* wrong(`--cache: there is no cache at ${file}`)
    }
    const context = yield* Effect.mapError(
      Layer.build(
        file === undefined
          ? CacheStores.redis({ url: redisUrl(where), timeout: "10 seconds" })
          : CacheStores.sqlite({ filename: file })
      ),
      failed(name)
    )
    const store = Context.get(context, CacheStore)
    if (store.contents === undefined) return yield* wrong(`--cache: ${name} cannot be looked into`)
    return { store, contents: store.contents, name, file }
  })

/** A store that failed, as the command line says it. */
export const failed =
  (name: string) =>
  (error: CacheStoreError): CliError => {
    const { message } = error
    const place = message.includes(name) ? "" : ` ${name}`
    return new CliError({ message: `--cache${place}: ${message}`, cause: error.cause })
  }
