/**
 * A server of the bench over many rows: answers each prompt with itself, and holds back the one that its caller
 * names until all others have been answered.
 *
 * A bare `node:http` server, in a process of its own, so that what is measured is the client. It tells its parent
 * its port.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** What the server is told to do. */
export interface Plan {
  /** How many requests there will be. */
  readonly requests: number
  /** The prompt whose answer comes last. */
  readonly last: string
}

const plan: Plan = JSON.parse(process.argv[2] ?? "{}")
let answered = 0
let held: (() => void) | undefined

const answer = (prompt: string, model: string): string =>
  JSON.stringify({
    id: `chatcmpl-${answered}`,
    object: "chat.completion",
    created: 1_700_000_000,
    model,
    choices: [
      { index: 0, message: { role: "assistant", content: prompt, refusal: null }, finish_reason: "stop" }
    ],
    usage: { prompt_tokens: 50, completion_tokens: 50, total_tokens: 100 }
  })

const server = http.createServer((request, response) => {
  let body = ""
  request.setEncoding("latin1")
  request.on("data", (chunk) => {
    body += chunk
  })
  request.on("end", () => {
    const { messages, model } = JSON.parse(body)
    const prompt: string = messages[0].content
    const send = () => {
      const json = answer(prompt, model)
      response.writeHead(200, { "content-type": "application/json", "content-length": json.length })
      response.end(json)
      answered++
      if (answered === plan.requests - 1) held?.()
    }
    if (prompt === plan.last && answered < plan.requests - 1) held = send
    else send()
  })
})

server.keepAliveTimeout = 600_000
server.requestTimeout = 0
server.listen(0, "127.0.0.1", 4_096, () => process.send?.((server.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
