/** What `floodgate cache import` does. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CacheStoreError, Listed, Service } from "../CacheStore.js"
import * as CacheEntry from "../internal/cacheEntry.js"
import * as CacheForeign from "../internal/cacheForeign.js"
import { cacheKey } from "../internal/cacheKey.js"
import { byNamespace } from "../internal/cacheNamespace.js"
import * as CacheTransfer from "../internal/cacheTransfer.js"
import { count, counted } from "../internal/countText.js"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"
import * as OpenAi from "../providers/OpenAi.js"
import * as Router from "../Router.js"
import * as BadLines from "./badLines.js"
import type { CliError } from "./CliError.js"
import type { ImportFlags } from "./cacheCommand.js"
import { failed, openStore } from "./cacheStore.js"
import { checkPositive, parseTimeToLive, wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import { stdin } from "./stdin.js"

type ReadLine = (line: JsonObject) => Effect.Effect<Listed, string>

const variable = (name: string) =>
  Effect.map(
    Effect.orElseSucceed(Config.string(name), () => ""),
    (text) => text.trim() || undefined
  )

/** Reads lines of other programs, and makes the keys under which their answers will be found here. */
const foreignReader = (flags: ImportFlags): Effect.Effect<ForeignReader, CliError> =>
  Effect.gen(function* () {
    yield* checkPositive("max-tokens", flags.maxTokens)
    const baseUrl =
      flags.baseUrl ??
      (yield* variable("OPENAI_BASE_URL")) ??
      (yield* variable("OPENAI_API_BASE")) ??
      OpenAi.defaultBaseUrl
    if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
      return yield* wrong(`The base URL must start with http:// or https://, not "${baseUrl}"`)
    }
    const model = flags.model ?? (yield* variable("OPENAI_MODEL"))
    const router = Router.make({ endpoints: [{ provider: OpenAi.name, baseUrl, model }] })
    const missing: CacheForeign.Missing = {
      provider: OpenAi.name,
      model,
      parameters: {
        ...(flags.temperature === undefined ? undefined : { temperature: flags.temperature }),
        ...(flags.maxTokens === undefined ? undefined : { max_tokens: flags.maxTokens })
      },
      assumeComplete: flags.assumeComplete
    }
    return {
      source: router.endpoints[0]?.source ?? "",
      read: (program, line) =>
        Effect.gen(function* () {
          const { request, response } = yield* CacheForeign.decode(program, line, missing)
          const resolved = yield* Effect.mapError(router.resolve(request), ({ message }) => message)
          return {
            namespace: "",
            key: cacheKey(resolved),
            value: CacheEntry.encode(response, resolved.request),
            storedAt: undefined,
            expiresAt: undefined
          }
        })
    }
  })

interface ForeignReader {
  /** Whose answers they are taken for. */
  readonly source: string
  readonly read: (program: CacheForeign.Program, line: JsonObject) => Effect.Effect<Listed, string>
}

const parse = (text: string): Either.Either<JsonObject, string> =>
  Either.flatMap(Either.try({ try: (): unknown => JSON.parse(text), catch: () => "not JSON" }), (value) =>
    isJsonObject(value) ? Either.right(value) : Either.left("not a JSON object")
  )

const unknownLine =
  "neither a line of floodgate cache export, nor of a cache of FluxLLM, nor of an output of flexllm"

/** A folder and a database are what people have who look for the cache of another program. */
const checkKind = (input: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (input === InputFile.standardInput) return
    const info = yield* Effect.option(fs.stat(input))
    if (info._tag === "Some" && info.value.type === "Directory") {
      return yield* wrong(
        `${input} is a folder. If it is the cache of flexllm: that keeps hashes of requests and not the requests, so nobody can tell what its answers answer. Import the output file of the run instead`
      )
    }
    yield* InputFile.check(input)
    if (info._tag !== "Some" || info.value.type !== "File") return
    const head = yield* fs.stream(input, { bytesToRead: 16 }).pipe(
      Stream.runFold("", (text, bytes) => text + Buffer.from(bytes).toString("latin1")),
      Effect.orElseSucceed(() => "")
    )
    if (head.startsWith("SQLite format 3")) {
      yield* wrong(
        `${input} is a database and not JSON lines. If it is a cache of floodgate, use it as --cache ${input}, or export it first`
      )
    }
  })

interface Refusal {
  readonly line: number
  readonly reason: string
}

/** Refusals that are named; the others are counted. */
const namedInText = 20
const namedInJson = 1_000
const storedAtOnce = 200

/** Stores what is not there yet, and returns how much that is. */
const add = (store: Service, entries: ReadonlyArray<Listed>): Effect.Effect<number, CacheStoreError> =>
  Effect.map(
    byNamespace(entries, (namespace, group) =>
      Effect.gen(function* () {
        const isThere = yield* store.getMany(
          namespace,
          group.map(({ key }) => key)
        )
        const missing = new Map<string, Listed>()
        for (const entry of group) {
          if (!isThere.has(entry.key) && !missing.has(entry.key)) missing.set(entry.key, entry)
        }
        if (missing.size > 0) yield* store.setMany(namespace, [...missing.values()])
        return group.map((entry) => missing.get(entry.key) === entry)
      })
    ),
    (added) => added.filter(Boolean).length
  )

/** What became of the lines. */
export interface Report {
  readonly cache: string
  readonly added: number
  readonly present: number
  readonly expired: number
  readonly refused: number
  /** Whose answers those of other programs were taken for, if there were any. */
  readonly source: string | null
  /** The first of the refused lines. */
  readonly refusals: ReadonlyArray<Refusal>
}

/** Puts the lines into the cache. */
export const load = (
  flags: ImportFlags
): Effect.Effect<Report, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const timeToLive = yield* parseTimeToLive(flags.cacheTtl)
    const foreign = yield* foreignReader(flags)
    yield* checkKind(flags.input)
    const path = yield* InputFile.open(flags.input, stdin)
    const { name, store } = yield* openStore(flags.cache, { create: true })

    let foreignLines = 0
    const read: ReadLine = (line) => {
      const from = flags.from ?? (CacheTransfer.isMeant(line) ? "floodgate" : CacheForeign.programOf(line))
      if (from === undefined) return Effect.fail(unknownLine)
      if (from === "floodgate") return CacheTransfer.decode(line)
      foreignLines++
      return foreign.read(from, line)
    }

    const done = { added: 0, present: 0, expired: 0, refused: 0 }
    const refusals: Array<Refusal> = []
    const keep = flags.json ? namedInJson : namedInText

    yield* Stream.runForEachChunk(Stream.rechunk(InputFile.lines(path), storedAtOnce), (lines) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const entries: Array<Listed> = []
        for (const { number, text } of lines) {
          const entry = yield* Effect.either(Effect.flatMap(Either.flatMap(text, parse), read))
          if (Either.isLeft(entry)) {
            done.refused++
            if (refusals.length < keep) refusals.push({ line: number, reason: entry.left })
            continue
          }
          const { expiresAt, namespace } = entry.right
          const end =
            expiresAt ?? (timeToLive === undefined ? undefined : now + Duration.toMillis(timeToLive))
          if (end !== undefined && end <= now) done.expired++
          else entries.push({ ...entry.right, namespace: flags.namespace ?? namespace, expiresAt: end })
        }
        const added = yield* Effect.mapError(add(store, entries), failed(name))
        done.added += added
        done.present += entries.length - added
      })
    )
    return { cache: name, ...done, source: foreignLines > 0 ? foreign.source : null, refusals }
  })

/** A report for people: what was done, and what was not. */
const told = (report: Report, input: string): { readonly done: string; readonly refused: string } => {
  const { added, cache, expired, present, refusals, refused, source } = report
  const more = refused - refusals.length
  const bad = BadLines.make()
  for (const { line, reason } of refusals) bad.add(line, reason)
  const parts = [
    `${count(added)} added`,
    `${count(present)} already there`,
    ...(expired === 0 ? [] : [`${count(expired)} expired`]),
    `${count(refused)} refused`
  ]
  const hint =
    source !== null && added + present > 0
      ? `They are found by requests to ${source} with the same model, messages and parameters. Parameters of a whole run are not in such files: give them as flags\n`
      : ""
  return {
    done: `${cache}: ${parts.join(", ")}\n${hint}`,
    refused: [
      ...bad.told().map((text) => `${input}: ${text}\n`),
      ...(more > 0 ? [`${input}: and ${counted(more, "more line")}\n`] : [])
    ].join("")
  }
}

/** The exit code: 0 all is in the cache, 1 some lines were refused, 2 all were. */
export const runImport = (
  flags: ImportFlags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.map(load(flags), (report) => {
    if (flags.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
    else {
      const { done, refused } = told(report, InputFile.nameOf(flags.input))
      process.stderr.write(refused)
      process.stdout.write(done)
    }
    if (report.refused === 0) return 0
    return report.added + report.present + report.expired === 0 ? 2 : 1
  })
