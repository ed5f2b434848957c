/**
 * The bench's server: answers every chat completion with the request's own prompt, after a fixed latency.
 *
 * A bare `node:http` server, in a process of its own, so that what is measured is the client. It tells its parent
 * its port, and on request the CPU it has used.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"

const latencyMs = Number(process.argv[2] ?? 0)
let answered = 0

const answer = (body: string): string => {
  const { messages, model } = JSON.parse(body)
  return JSON.stringify({
    id: `chatcmpl-${answered++}`,
    object: "chat.completion",
    created: 1_700_000_000,
    model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: messages[0].content, refusal: null },
        logprobs: null,
        finish_reason: "stop"
      }
    ],
    usage: { prompt_tokens: 213, completion_tokens: 213, total_tokens: 426 },
    system_fingerprint: "fp_bench"
  })
}

const server = http.createServer((request, response) => {
  let body = ""
  request.setEncoding("latin1")
  request.on("data", (chunk) => {
    body += chunk
  })
  request.on("end", () => {
    const send = () => {
      const json = answer(body)
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": json.length,
        "x-request-id": `req_${answered}`
      })
      response.end(json)
    }
    if (latencyMs === 0) send()
    else setTimeout(send, latencyMs)
  })
})

server.keepAliveTimeout = 600_000
server.listen(0, "127.0.0.1", 4_096, () => process.send?.((server.address() as AddressInfo).port))
process.on("message", () => {
  const { system, user } = process.cpuUsage()
  process.send?.({ answered, cpuMicros: system + user })
})
process.on("disconnect", () => process.exit())
