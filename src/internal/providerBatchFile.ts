/**
 * The jobs of a run, as lines of a file, so that a run that is stopped goes on with them:
 *
 * - `{"floodgate":"jobs","version":1}`
 * - `{"begin":{…}}`: a job about to be submitted, with all of its handle but the id.
 * - `{"submitted":<key>,"id":<id>}`: it was.
 * - `{"dropped":<key>}`: it was not, or the provider has forgotten it.
 *
 * Each line is durable before the step after it. A torn last line is a step that was not made.
 */
import * as fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as AppendLog from "./appendLog.js"
import { CheckpointError, io } from "./checkpointError.js"
import * as FileLock from "./fileLock.js"
import { Job } from "./providerBatchJob.js"

const version = 1

/** A job without the id that the provider gives it. */
const Begun = Job.pipe(Schema.omit("id"), Schema.extend(Schema.Struct({ path: Schema.String })))
export type Begun = typeof Begun.Type

const decodeHeader = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Struct({ floodgate: Schema.Literal("jobs"), version: Schema.Literal(version) }))
)
const decodeLine = Schema.decodeUnknownEither(
  Schema.parseJson(
    Schema.Union(
      Schema.Struct({ begin: Begun }),
      Schema.Struct({ submitted: Schema.String, id: Schema.String }),
      Schema.Struct({ dropped: Schema.String })
    )
  )
)

export interface JobFile {
  /** Jobs of earlier runs. */
  readonly jobs: ReadonlyArray<Job>
  /** Jobs that an earlier run was about to submit: nobody knows whether it did. */
  readonly begun: ReadonlyArray<Begun>
  readonly begin: (job: Begun) => Effect.Effect<void, CheckpointError>
  readonly submitted: (key: string, id: string) => Effect.Effect<void, CheckpointError>
  readonly dropped: (key: string) => Effect.Effect<void, CheckpointError>
}

/** Where there is no file. */
export const none: JobFile = {
  jobs: [],
  begun: [],
  begin: () => Effect.void,
  submitted: () => Effect.void,
  dropped: () => Effect.void
}

const header = JSON.stringify({ floodgate: "jobs", version })

const notOurs = (path: string) =>
  new CheckpointError({
    reason: "NotACheckpoint",
    path,
    message: `${path} is not a file of batch jobs of this version; it was left as it is: move it or choose another`
  })

/** What the file says, and how much of it is whole. */
const read = (path: string) =>
  Effect.gen(function* () {
    const text = yield* io("read", path, () =>
      fs.readFile(path, "utf8").catch((cause) => {
        if (cause?.code === "ENOENT") return ""
        throw cause
      })
    )
    const whole = text.slice(0, text.lastIndexOf("\n") + 1)
    const begun = new Map<string, Begun>()
    const jobs = new Map<string, Job>()
    const [head = "", ...lines] = whole.split("\n")
    const isNew = whole === "" && header.startsWith(text)
    if (!isNew && Either.isLeft(decodeHeader(head))) return yield* notOurs(path)
    for (const text of lines) {
      if (text === "") continue
      const line = yield* Either.mapLeft(decodeLine(text), () => notOurs(path))
      if ("begin" in line) begun.set(line.begin.key, line.begin)
      else if ("dropped" in line) {
        begun.delete(line.dropped)
        jobs.delete(line.dropped)
      } else {
        const job = begun.get(line.submitted)
        if (job === undefined) continue
        begun.delete(line.submitted)
        const { path: _, ...handle } = job
        jobs.set(job.key, { ...handle, id: line.id })
      }
    }
    return { begun: [...begun.values()], jobs: [...jobs.values()], size: Buffer.byteLength(whole) }
  })

/** Opens the file at `path`, or makes it; fails with `Locked` if another run has it. */
export const open = (path: string): Effect.Effect<JobFile, CheckpointError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* FileLock.acquire(`${path}.lock`)
    const { begun, jobs, size } = yield* read(path)
    const log = yield* Effect.acquireRelease(
      AppendLog.make({
        path,
        size,
        open: io("open", path, async () => {
          const handle = await fs.open(path, size === 0 ? "w" : "r+")
          // a torn tail
          await handle.truncate(size)
          return { handle, size }
        })
      }),
      (log) => Effect.ignore(log.close)
    )
    const append = (line: object) => log.append(JSON.stringify(line), () => {})
    if (size === 0) yield* log.append(header, () => {})
    return {
      begun,
      jobs,
      begin: (begin) => append({ begin }),
      submitted: (submitted, id) => append({ submitted, id }),
      dropped: (dropped) => append({ dropped })
    }
  })
