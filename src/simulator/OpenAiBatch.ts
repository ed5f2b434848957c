/**
 * OpenAI's files and batches, and Azure's. Answers and failures come in two files, either of which may be missing.
 *
 * Source: OpenAI's API reference of files and batches.
 */
import * as BatchJobs from "./BatchJobs.js"
import { error } from "./OpenAiError.js"
import type { Reply, Route, Wire } from "./Wire.js"

const limits = { requests: 50_000, bytes: 200_000_000 }

/** A line of OpenAI's, and Mistral's, result files. */
export const resultLine = (id: string, ended: BatchJobs.Ended, index: number): unknown => ({
  id: `batch_req_${index}`,
  custom_id: id,
  response:
    typeof ended === "string"
      ? null
      : { status_code: ended.status, request_id: ended.requestId, body: ended.body },
  error:
    typeof ended === "string"
      ? {
          code: `batch_${ended}`,
          message: `This request could not be executed before the batch was ${ended}.`
        }
      : null
})

export const isGood = (ended: BatchJobs.Ended): boolean => typeof ended !== "string" && ended.status === 200

const words: Readonly<Record<BatchJobs.JobState, string>> = {
  queued: "validating",
  running: "in_progress",
  cancelling: "cancelling",
  completed: "completed",
  failed: "failed",
  expired: "expired",
  cancelled: "cancelled"
}

const hasEnded = (state: BatchJobs.JobState): boolean =>
  state === "completed" || state === "expired" || state === "cancelled"

/** The upload of a file for a batch; the file's text under an id. */
export const upload = (jobs: BatchJobs.BatchJobs, request: BatchJobs.RawRequest): Reply => {
  const text = BatchJobs.fileOf(request)
  if (text === undefined) return error(400, { message: "'file' is a required property", param: "file" })
  const bytes = Buffer.byteLength(text)
  if (bytes > limits.bytes) return error(400, { message: `File is larger than ${limits.bytes} bytes.` })
  return BatchJobs.json({
    id: jobs.addFile("file-", text),
    object: "file",
    bytes,
    purpose: "batch",
    status: "processed"
  })
}

/** The content of an uploaded file, or of the results of a job: `{job}-output` and `{job}-error`. */
export const content = (
  jobs: BatchJobs.BatchJobs,
  id: string,
  { now, run }: BatchJobs.RawRequest
): Reply | undefined => {
  const uploaded = jobs.file(id)
  if (uploaded !== undefined) return { _tag: "Reply", status: 200, body: uploaded }
  const [, job = "", kind = ""] = /^(.*)-(output|error)$/.exec(id) ?? []
  const ended = jobs.get(job)?.at(now, run).ended
  return ended === undefined
    ? undefined
    : BatchJobs.lines(
        ended
          .map(([id, each], index) => ({ each, line: resultLine(id, each, index) }))
          .filter(({ each }) => isGood(each) === (kind === "output"))
          .map(({ line }) => line)
      )
}

/** What is wrong with the lines of a batch, as its validation finds it. */
const invalid = (
  entries: ReadonlyArray<Readonly<Record<string, unknown>>>,
  endpoint: unknown
): Reply | undefined => {
  const ids = new Set(entries.map((entry) => entry["custom_id"]))
  const models = new Set(entries.map((entry) => BatchJobs.record(entry["body"])["model"]))
  if (entries.length === 0) return error(400, { message: "The input file is empty.", code: "empty_file" })
  if (entries.length > limits.requests)
    return error(400, { message: "Too many tasks.", code: "too_many_tasks" })
  if (ids.size < entries.length) {
    return error(400, { message: "The custom_id is not unique.", code: "duplicate_custom_id" })
  }
  if (models.size > 1)
    return error(400, { message: "All models must be the same.", code: "mismatched_model" })
  return entries.every(
    (entry) => entry["url"] === endpoint && entry["method"] === "POST" && entry["custom_id"] !== undefined
  )
    ? undefined
    : error(400, { message: "The URL of a line is not the batch's.", code: "mismatched_url" })
}

/** The routes beside the ordinary ones of `wire`, on paths with `/v1` or without. */
export const route = (
  jobs: BatchJobs.BatchJobs,
  lineRoute: (path: string) => Route | undefined
): Wire["route"] => {
  const told = (job: BatchJobs.BatchJob, { now, run }: Pick<BatchJobs.RawRequest, "now" | "run">) => {
    const { ended, state } = job.at(now, run)
    const completed = ended.filter(([, each]) => isGood(each)).length
    const failed = ended.length - completed
    const rawState = state === "running" ? (jobs.options.runningState ?? words.running) : words[state]
    const { failsWith } = jobs.options
    return {
      id: job.id,
      object: "batch",
      endpoint: job.given["endpoint"],
      input_file_id: job.given["input_file_id"],
      completion_window: job.given["completion_window"],
      status: rawState,
      created_at: Math.floor(job.createdAt / 1000),
      metadata: job.given["metadata"] ?? null,
      request_counts: { total: state === "queued" ? 0 : job.size, completed, failed },
      output_file_id: hasEnded(state) && completed > 0 ? `${job.id}-output` : null,
      error_file_id: hasEnded(state) && failed > 0 ? `${job.id}-error` : null,
      errors:
        failsWith === undefined
          ? null
          : {
              object: "list",
              data: [{ code: failsWith, message: `The batch failed: ${failsWith}.`, param: null, line: null }]
            }
    }
  }

  const create = (request: BatchJobs.RawRequest): Reply => {
    const given = BatchJobs.parse(request.text)
    const file = jobs.file(String(given["input_file_id"]))
    if (file === undefined) return error(400, { message: "Invalid 'input_file_id'.", param: "input_file_id" })
    if (given["completion_window"] !== "24h") {
      return error(400, { message: "Invalid value for 'completion_window'.", param: "completion_window" })
    }
    const entries = BatchJobs.parseLines(file)
    const refused = invalid(entries, given["endpoint"])
    if (refused !== undefined) return refused
    const job = jobs.add(
      "batch_",
      request.now,
      given,
      entries.map((entry) => ({
        id: String(entry["custom_id"]),
        run: (run) => {
          const path = String(entry["url"])
          const found = lineRoute(path)
          return run(found?._tag === "Endpoint" ? found : undefined, path, BatchJobs.record(entry["body"]))
        }
      }))
    )
    return BatchJobs.json(told(job, request))
  }

  const answer = (path: string, request: BatchJobs.RawRequest): Reply => {
    const isPost = request.method === "POST"
    const [, kind, id, action] = path.split("/")
    if (kind === "files") {
      if (isPost) return upload(jobs, request)
      return content(jobs, id ?? "", request) ?? error(404, { message: `No such File object: ${id}` })
    }
    if (id === undefined) {
      return isPost
        ? create(request)
        : BatchJobs.json({
            object: "list",
            data: jobs.list().map((job) => told(job, request)),
            has_more: false
          })
    }
    const job = jobs.get(id)
    if (job === undefined) return error(404, { message: `No batch found with id '${id}'.` })
    if (action === "cancel") job.cancel(request.now)
    return BatchJobs.json(told(job, request))
  }

  return (_, fullPath) => {
    const path = fullPath.startsWith("/v1/") ? fullPath.slice(3) : fullPath
    return /^\/(files|batches)(\/[^/]+(\/(content|cancel))?)?$/.test(path)
      ? { _tag: "Raw", answer: (request) => answer(path, request) }
      : undefined
  }
}
