/**
 * Jobs of the asynchronous batch APIs: requests that are run one after the other while nobody waits, and are asked
 * after later. What a job is called and how it is told is each wire's.
 */
import * as Duration from "effect/Duration"
import type { HeaderMap, Reply, Route } from "./Wire.js"

/** How batch jobs go. */
export interface BatchOptions {
  /** From the submission of a job until its last request is run; they end at even distances. Default 0. */
  readonly takes?: Duration.DurationInput
  /** When what is not run by then expires. Default 24 hours. */
  readonly expiresAfter?: Duration.DurationInput
  /** Told instead of the word for a running job: for clients that meet words they do not know. Default none. */
  readonly runningState?: string
  /** Jobs fail as a whole, before any request is run, with this code. Default: they do not. */
  readonly failsWith?: string
}

/** The answer to one request of a job. */
export interface LineAnswer {
  readonly status: number
  readonly body: unknown
  readonly requestId: string
}

/** Runs a request of a job: without limits, at half the price, and as `BATCH` in the log. */
export type RunLine = (
  endpoint: Extract<Route, { readonly _tag: "Endpoint" }> | undefined,
  path: string,
  body: Readonly<Record<string, unknown>>
) => LineAnswer

/** A request of a batch API, whose body may be anything. */
export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly headers: HeaderMap
  readonly text: string
  /** Epoch milliseconds. */
  readonly now: number
  readonly run: RunLine
}

/** One request of a job. */
export interface JobEntry {
  readonly id: string
  readonly run: (run: RunLine) => LineAnswer
}

/** What has become of a request of a job: its answer, or why there is none. */
export type Ended = LineAnswer | "expired" | "cancelled"

export type JobState = "queued" | "running" | "cancelling" | "completed" | "failed" | "expired" | "cancelled"

export interface BatchJob {
  readonly id: string
  readonly createdAt: number
  /** What the client gave beside the requests. */
  readonly given: Readonly<Record<string, unknown>>
  readonly size: number
  cancel: (now: number) => void
  /** The state at this time, with the requests that have ended, in an order that is not theirs. */
  readonly at: (
    now: number,
    run: RunLine
  ) => { readonly state: JobState; readonly ended: ReadonlyArray<readonly [id: string, Ended]> }
}

const makeJob = (
  id: string,
  createdAt: number,
  given: BatchJob["given"],
  entries: ReadonlyArray<JobEntry>,
  options: BatchOptions
): BatchJob => {
  const takes = Duration.toMillis(options.takes ?? 0)
  const expiry = createdAt + Duration.toMillis(options.expiresAfter ?? "24 hours")
  const end = createdAt + takes
  let cancelledAt = Number.POSITIVE_INFINITY
  const answers = new Map<string, LineAnswer>()
  return {
    id,
    createdAt,
    given,
    size: entries.length,
    cancel: (now) => {
      cancelledAt = Math.min(cancelledAt, now)
    },
    at: (now, run) => {
      if (options.failsWith !== undefined) return { state: "failed", ended: [] }
      const stop = Math.min(expiry, cancelledAt)
      const until = Math.min(now, stop)
      entries.forEach((entry, index) => {
        const ends = createdAt + (takes * (index + 1)) / entries.length
        if (ends <= until && !answers.has(entry.id)) answers.set(entry.id, entry.run(run))
      })
      const state: JobState =
        end <= stop
          ? now >= end
            ? "completed"
            : now === createdAt
              ? "queued"
              : "running"
          : now < stop
            ? "running"
            : expiry <= cancelledAt
              ? "expired"
              : // what is being run is brought to its end
                now < cancelledAt + takes / 10
                ? "cancelling"
                : "cancelled"
      const ended = entries.flatMap(({ id }): ReadonlyArray<readonly [string, Ended]> => {
        const answer = answers.get(id)
        if (answer !== undefined) return [[id, answer]]
        return state === "expired" || state === "cancelled" ? [[id, state]] : []
      })
      return { state, ended: ended.reverse() }
    }
  }
}

/** The jobs and files of one provider. */
export interface BatchJobs {
  readonly options: BatchOptions
  readonly add: (
    prefix: string,
    now: number,
    given: BatchJob["given"],
    entries: ReadonlyArray<JobEntry>
  ) => BatchJob
  readonly get: (id: string) => BatchJob | undefined
  /** The newest first. */
  readonly list: () => ReadonlyArray<BatchJob>
  readonly addFile: (prefix: string, text: string) => string
  readonly file: (id: string) => string | undefined
}

export const make = (options: BatchOptions = {}): BatchJobs => {
  const jobs = new Map<string, BatchJob>()
  const files = new Map<string, string>()
  const nameOf = (prefix: string, count: number) => `${prefix}${String(count + 1).padStart(8, "0")}`
  return {
    options,
    add: (prefix, now, given, entries) => {
      const job = makeJob(nameOf(prefix, jobs.size), now, given, entries, options)
      jobs.set(job.id, job)
      return job
    },
    get: (id) => jobs.get(id),
    list: () => [...jobs.values()].reverse(),
    addFile: (prefix, text) => {
      const id = nameOf(prefix, files.size)
      files.set(id, text)
      return id
    },
    file: (id) => files.get(id)
  }
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Reply => ({
  _tag: "Reply",
  status,
  headers,
  body: JSON.stringify(body)
})

export const lines = (values: ReadonlyArray<unknown>): Reply => ({
  _tag: "Reply",
  status: 200,
  headers: { "content-type": "application/x-ndjson" },
  body: values.map((value) => `${JSON.stringify(value)}\n`).join("")
})

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A JSON object, empty where the text is none. */
export const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {})

export const records = (value: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Array.isArray(value) ? value.filter(isRecord) : []

export const parse = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return record(JSON.parse(text))
  } catch {
    return {}
  }
}

/** The objects in the lines of a file. */
export const parseLines = (text: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parse)

/** The file in a form, as text. */
export const fileOf = ({ headers, text }: RawRequest): string | undefined => {
  const boundary = /boundary="?([^";]+)"?/.exec(String(headers["content-type"] ?? ""))?.[1]
  if (boundary === undefined) return undefined
  for (const part of text.split(`--${boundary}`)) {
    const head = part.indexOf("\r\n\r\n")
    if (head >= 0 && /name="file"/.test(part.slice(0, head))) return part.slice(head + 4).replace(/\r\n$/, "")
  }
  return undefined
}
