/**
 * Azure's two surfaces of OpenAI's wire: `/openai/v1/…` with the deployment as `model`, and
 * `/openai/deployments/{deployment}/…`, where the body's `model` counts for nothing. The Responses API takes the
 * deployment as `model` on either. Each deployment is named as the model behind it.
 *
 * Source: Microsoft's reference of Azure OpenAI.
 */
import { type Flavour, openAi } from "./OpenAiFlavour.js"
import * as OpenAiResponses from "./OpenAiResponses.js"
import * as OpenAiWire from "./OpenAiWire.js"
import type { Reply, Wire, WireOptions } from "./Wire.js"

const harmless = Object.fromEntries(
  ["hate", "self_harm", "sexual", "violence"].map((kind) => [kind, { filtered: false, severity: "safe" }])
)

const promptResults = [{ prompt_index: 0, content_filter_results: harmless }]

const azure: Flavour = {
  ...openAi,
  name: "azure",
  extras: { prompt_filter_results: promptResults },
  choiceExtras: { content_filter_results: harmless },
  firstChunk: { id: "", model: "", created: 0, prompt_filter_results: promptResults }
}

const reply = (
  status: number,
  error: Readonly<Record<string, unknown>>,
  headers: Record<string, string> = {}
): Reply => ({
  _tag: "Reply",
  status,
  headers,
  body: JSON.stringify({ error })
})

const filtered = reply(400, {
  message:
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.",
  type: null,
  param: "prompt",
  code: "content_filter",
  status: 400,
  innererror: {
    code: "ResponsibleAIPolicyViolation",
    content_filter_result: { ...harmless, violence: { filtered: true, severity: "medium" } }
  }
})

const denied = reply(401, {
  code: "401",
  message:
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription."
})

const noDeployment = reply(404, {
  code: "DeploymentNotFound",
  message: "The API deployment for this resource does not exist."
})

const deploymentPath = /^\/deployments\/([^/]+)(\/.+)$/

/** Makes Azure's wire. It sees the paths below `/openai`. */
export const make = (options: WireOptions): Wire => {
  const wire = OpenAiWire.make({ ...options, models: undefined }, azure)
  const responses = OpenAiResponses.make({ ...options, models: undefined })
  const isDeployed = (name: unknown) =>
    options.models === undefined || options.models.some((model) => model === name)
  return {
    ...wire,
    name: "azure",
    route: (method, path) => {
      const [, deployment, rest] = deploymentPath.exec(path) ?? []
      const route = wire.route(method, rest ?? path) ?? responses.route(method, path)
      if (route?._tag !== "Endpoint") return route
      return {
        _tag: "Endpoint",
        read: (given) => {
          const body = deployment === undefined ? given : { ...given, model: decodeURIComponent(deployment) }
          return isDeployed(body["model"]) ? route.read(body) : noDeployment
        }
      }
    },
    credential: (headers) => {
      const key = headers["api-key"]
      return typeof key === "string" && key !== "" ? key : wire.credential(headers)
    },
    unauthorized: () => denied,
    rateLimited: ({ waitMillis }, model) => {
      const seconds = Math.ceil((waitMillis ?? 1000) / 1000)
      const message =
        `Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded the rate limit of the ` +
        `deployment ${model}. Please retry after ${seconds} seconds.`
      return reply(
        429,
        { code: "429", message },
        { "retry-after": String(seconds), "retry-after-ms": String(Math.ceil(waitMillis ?? 1000)) }
      )
    },
    waitText: (waitMillis) => `Please retry after ${Math.ceil(waitMillis / 1000)} seconds.`,
    resetHeaders: (waitMillis) => ({ "x-ratelimit-reset-tokens": String(Math.ceil(waitMillis / 1000)) }),
    failure: (fault) => (fault.code === "content_filter" ? filtered : wire.failure(fault)),
    headers: ({ hash, requests, seq, tokens }) => {
      const id = `${hash.text.padStart(16, "0")}${seq.toString(16).padStart(16, "0")}`
      const out: Record<string, string> = {
        "apim-request-id": id,
        "x-request-id": id,
        "x-ms-region": "Nowhere"
      }
      if (requests !== undefined) {
        out["x-ratelimit-limit-requests"] = String(requests.limit)
        out["x-ratelimit-remaining-requests"] = String(requests.remaining)
      }
      if (tokens !== undefined) {
        out["x-ratelimit-limit-tokens"] = String(tokens.limit)
        out["x-ratelimit-remaining-tokens"] = String(tokens.remaining)
        // whole seconds, where OpenAI has 6m0s
        out["x-ratelimit-reset-tokens"] = String(Math.ceil(tokens.resetMillis / 1000))
      }
      return out
    }
  }
}
