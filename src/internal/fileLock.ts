/**
 * A lock file that says who holds it, so that one left by a dead process can be taken over.
 *
 * Node has no `flock`. The lock is a file made in one step (`link` of a finished file fails if the name is
 * taken). Taking over a stale one needs care: between reading "its owner is dead" and replacing it, another
 * process may have done so already. So the right to replace the lock with nonce N is a lock itself, on the
 * name `<path>.<N>`, and its holder looks again before it replaces: nonce N can be replaced only once.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { hostname } from "node:os"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CheckpointError, io } from "./checkpointError.js"

const Owner = Schema.parseJson(
  Schema.Struct({
    nonce: Schema.String,
    host: Schema.String,
    pid: Schema.Number,
    /** Boot and start time of the process, so that a pid used again is not mistaken for its owner. */
    started: Schema.String,
    since: Schema.String
  })
)
type Owner = typeof Owner.Type

const codeOf = (cause: unknown): unknown =>
  cause instanceof Error && "code" in cause ? cause.code : undefined

const unknownStart = ""

/** Identity of a process beyond its pid; none if it is dead, `unknownStart` where there is no /proc. */
const processStart = (pid: number): Effect.Effect<Option.Option<string>> =>
  Effect.promise(async () => {
    try {
      process.kill(pid, 0)
    } catch (cause) {
      if (codeOf(cause) === "ESRCH") return Option.none()
    }
    try {
      const boot = (await fs.readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim()
      const stat = await fs.readFile(`/proc/${pid}/stat`, "utf8")
      // The name in parentheses may hold anything; state is the first field after it, start time the 20th.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return fields[0] === "Z" || fields[0] === "X" ? Option.none() : Option.some(`${boot}:${fields[19]}`)
    } catch {
      return Option.some(unknownStart)
    }
  })

const isDead = (owner: Owner): Effect.Effect<boolean> =>
  owner.host !== hostname()
    ? Effect.succeed(false)
    : Effect.map(
        processStart(owner.pid),
        Option.match({
          onNone: () => true,
          onSome: (started) =>
            started !== unknownStart && owner.started !== unknownStart && started !== owner.started
        })
      )

const locked = (path: string, message: string) => new CheckpointError({ reason: "Locked", path, message })

const heldBy = (path: string, owner: Owner) =>
  locked(
    path,
    owner.host === hostname()
      ? `another run is writing this output: process ${owner.pid}, since ${owner.since}; wait for it, stop it, or choose another output`
      : `${path} is held by process ${owner.pid} on host ${owner.host}, since ${owner.since}; if that run is over, delete ${path} and run again`
  )

/** Whoever holds the lock now; none if nobody does. */
const readOwner = (path: string): Effect.Effect<Option.Option<Owner>, CheckpointError> =>
  Effect.flatMap(
    io("read", path, () =>
      fs.readFile(path, "utf8").catch((cause) => {
        if (codeOf(cause) === "ENOENT") return undefined
        throw cause
      })
    ),
    (text) =>
      text === undefined
        ? Effect.succeedNone
        : Effect.mapBoth(Schema.decode(Owner)(text), {
            onSuccess: Option.some,
            onFailure: () =>
              locked(path, `${path} is not readable as a lock; if no run is using this output, delete it`)
          })
  )

/** Makes the lock file in one step. `false` if the name is taken. */
const create = (path: string, draft: string, text: string): Effect.Effect<boolean, CheckpointError> =>
  io("create", path, async () => {
    try {
      await fs.link(draft, path)
      return true
    } catch (cause) {
      if (codeOf(cause) === "EEXIST") return false
      if (codeOf(cause) === "ENOENT") throw cause
    }
    // A file system without hard links.
    try {
      await fs.writeFile(path, text, { flag: "wx", flush: true })
      return true
    } catch (cause) {
      if (codeOf(cause) === "EEXIST") return false
      throw cause
    }
  })

const attempts = 20

const hold = (path: string, self: Owner): Effect.Effect<void, CheckpointError> =>
  Effect.gen(function* () {
    const draft = `${path}.${self.nonce}.tmp`
    const text = JSON.stringify(self)
    const removeDraft = Effect.promise(() => fs.rm(draft, { force: true }).catch(() => {}))
    yield* Effect.ensuring(
      Effect.gen(function* () {
        yield* io("create a lock at", path, () => fs.writeFile(draft, text, { flag: "wx", flush: true }))
        for (let attempt = 0; attempt < attempts; attempt++) {
          if (yield* create(path, draft, text)) return
          const owner = yield* readOwner(path)
          if (Option.isNone(owner)) continue
          if (!(yield* isDead(owner.value))) return yield* heldBy(path, owner.value)
          if (yield* replace(path, draft, owner.value, self)) return
        }
        return yield* locked(path, `${path} keeps changing hands; run again`)
      }),
      removeDraft
    )
  })

/** Takes the lock of a dead owner. `false` if somebody else has done so first. */
const replace = (
  path: string,
  draft: string,
  dead: Owner,
  self: Owner
): Effect.Effect<boolean, CheckpointError> => {
  const right = `${path}.${dead.nonce}`
  return Effect.acquireUseRelease(
    hold(right, self),
    () =>
      Effect.flatMap(readOwner(path), (owner) =>
        Option.isSome(owner) && owner.value.nonce === dead.nonce
          ? Effect.as(
              io("take over", path, () => fs.rename(draft, path)),
              true
            )
          : Effect.succeed(false)
      ),
    () => release(right, self)
  )
}

const release = (path: string, self: Owner): Effect.Effect<void> =>
  readOwner(path).pipe(
    Effect.flatMap((owner) =>
      Option.isSome(owner) && owner.value.nonce === self.nonce
        ? io("remove", path, () => fs.rm(path, { force: true }))
        : Effect.void
    ),
    // A lock that cannot be removed is found stale by the next run.
    Effect.ignore
  )

/** Holds the lock file at `path` until the scope closes. Fails with `Locked` if a live process holds it. */
export const acquire = (path: string): Effect.Effect<void, CheckpointError, Scope.Scope> =>
  Effect.flatMap(processStart(process.pid), (started) => {
    const self: Owner = {
      nonce: randomBytes(8).toString("hex"),
      host: hostname(),
      pid: process.pid,
      started: Option.getOrElse(started, () => unknownStart),
      since: new Date().toISOString()
    }
    return Effect.acquireRelease(hold(path, self), () => release(path, self))
  })
