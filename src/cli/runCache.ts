/** What `floodgate cache stats` and `floodgate cache clear` do. */
import { createInterface } from "node:readline/promises"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Summary } from "../CacheStore.js"
import { count, counted } from "../internal/countText.js"
import type { CliError } from "./CliError.js"
import type { ClearFlags, StatsFlags } from "./cacheCommand.js"
import { failed, openStore } from "./cacheStore.js"
import { wrong } from "./flags.js"

type Services = FileSystem.FileSystem | Scope.Scope

const print = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

const printJson = (value: unknown) => print(JSON.stringify(value, undefined, 2))

const sum = (summaries: ReadonlyArray<Summary>, field: "entries" | "expired" | "bytes"): number =>
  summaries.reduce((total, summary) => total + summary[field], 0)

const size = (bytes: number): string => {
  const units = ["bytes", "KB", "MB", "GB", "TB"]
  let amount = bytes
  let unit = 0
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000
    unit++
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${units[unit]}`
}

const timeOf = (millis: number | undefined): string | null =>
  millis === undefined ? null : new Date(millis).toISOString()

/** What the file takes, with what SQLite keeps beside it. */
const sizeOnDisk = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const sizes = yield* Effect.forEach([file, `${file}-wal`, `${file}-shm`], (path) =>
      fs.stat(path).pipe(
        Effect.map((info) => Number(info.size)),
        Effect.orElseSucceed(() => 0)
      )
    )
    return sizes.reduce((total, size) => total + size, 0)
  })

const lineOf = (summary: Summary): string => {
  const { bytes, entries, expired, namespace, newest, oldest } = summary
  const days = [oldest, newest].map((millis) => timeOf(millis)?.slice(0, 16).replace("T", " "))
  return [
    namespace === "" ? "no namespace" : `namespace ${namespace}`,
    `: ${counted(entries, "answer")}, ${size(bytes)}`,
    expired === 0 ? "" : `, ${count(expired)} more expired`,
    days[0] === undefined ? "" : `, stored from ${days[0]} to ${days[1]} UTC`
  ].join("")
}

export const runStats = (flags: StatsFlags): Effect.Effect<void, CliError, Services> =>
  Effect.gen(function* () {
    const { contents, file, name } = yield* openStore(flags.cache, { create: false })
    const summaries = yield* Effect.mapError(contents.summaries(flags.namespace), failed(name))
    const onDisk = file === undefined ? undefined : yield* sizeOnDisk(file)
    const entries = sum(summaries, "entries")
    if (flags.json) {
      yield* printJson({
        cache: name,
        entries,
        expired: sum(summaries, "expired"),
        bytes: sum(summaries, "bytes"),
        bytesOnDisk: onDisk ?? null,
        namespaces: summaries.map((summary) => ({
          ...summary,
          oldest: timeOf(summary.oldest),
          newest: timeOf(summary.newest)
        }))
      })
      return
    }
    const disk = onDisk === undefined ? "" : `, ${size(onDisk)} on disk`
    yield* print(
      [`${name}: ${counted(entries, "answer")}${disk}`, ...summaries.map((s) => `  ${lineOf(s)}`)].join("\n")
    )
  })

const ask = (question: string): Effect.Effect<boolean> =>
  Effect.promise(async (signal) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr })
    try {
      const answer = await lines.question(question, { signal })
      return /^y(es)?$/i.test(answer.trim())
    } catch {
      // the terminal is gone, or the run is stopped
      return false
    } finally {
      lines.close()
    }
  })

const isTerminal = () => process.stdin.isTTY === true && process.stderr.isTTY === true

/** The exit code: 0 cleared, 1 if that was not wanted after all. */
export const runClear = (flags: ClearFlags): Effect.Effect<number, CliError, Services> =>
  Effect.gen(function* () {
    if (flags.all && flags.namespace !== undefined) {
      return yield* wrong("--all is the whole cache and --namespace a part of it: name one of them")
    }
    const { contents, name, store } = yield* openStore(flags.cache, { create: false })
    const orFail = Effect.mapError(failed(name))
    const before = yield* orFail(contents.summaries())
    const namespace = flags.namespace ?? ""
    const meant = before.filter((summary) => flags.all || summary.namespace === namespace)
    const count = flags.expired ? sum(meant, "expired") : sum(meant, "entries") + sum(meant, "expired")
    const what = counted(count, flags.expired ? "expired answer" : "answer")
    if (count > 0 && !flags.expired && !flags.yes && isTerminal()) {
      const where = flags.all
        ? ""
        : namespace === ""
          ? " without a namespace"
          : ` in the namespace ${namespace}`
      if (!(yield* ask(`Delete ${what}${where} from ${name}? [y/N] `))) {
        yield* Effect.sync(() => void process.stderr.write("Nothing was deleted\n"))
        return 1
      }
    }
    yield* orFail(
      flags.expired
        ? contents.removeExpired(flags.all ? undefined : namespace)
        : Effect.forEach(meant, (summary) => store.remove(summary.namespace, "all"), { discard: true })
    )
    const left = sum(yield* orFail(contents.summaries()), "entries")
    if (flags.json) {
      yield* printJson({ cache: name, deleted: count, left })
      return 0
    }
    const others = before.length - meant.length
    const hint =
      left > 0 && others > 0 && !flags.all && !flags.expired
        ? `, of ${counted(others, "other namespace")} (--all clears them too)`
        : ""
    yield* print(`${name}: ${what} deleted, ${counted(left, "answer")} left${hint}`)
    return 0
  })
