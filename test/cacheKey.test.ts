import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Chat, Endpoint, Message, type Request } from "floodgate"
import { cacheKey, canonicalJson } from "../src/internal/cacheKey.js"

const source = "api.openai.com"
const keyOf = (request: Request.Request) => cacheKey({ request, source })

const base = {
  model: "gpt-4.1",
  messages: [
    Message.system("s"),
    Message.user([Message.text("t"), Message.image("data:image/png;base64,AA==")])
  ],
  temperature: 0.5,
  topP: 0.9,
  maxTokens: 50,
  stop: ["END"],
  seed: 1,
  n: 1,
  logprobs: true,
  topLogprobs: 2,
  logitBias: { "50256": -100 },
  frequencyPenalty: 0.1,
  presencePenalty: 0.2,
  responseFormat: { type: "json" },
  tools: [
    { type: "function", name: "f", parameters: { type: "object", properties: { a: { type: "string" } } } }
  ],
  toolChoice: "auto",
  parallelToolCalls: false,
  thinking: "low",
  verbosity: "low",
  serviceTier: "default",
  store: false,
  labels: { run: "7" },
  promptCacheKey: "k",
  safetyIdentifier: "h",
  extra: { top_k: 5 }
} satisfies Request.ChatFields

describe("cacheKey", () => {
  it("changes with every field that can change the answer", () => {
    const changes: { readonly [Field in keyof typeof base]: Request.ChatFields[Field] } = {
      model: "gpt-4.2",
      messages: [...base.messages, Message.user("more")],
      temperature: 0.6,
      topP: 0.8,
      maxTokens: 51,
      stop: ["FIN"],
      seed: 2,
      n: 2,
      logprobs: false,
      topLogprobs: 3,
      logitBias: { "50256": -99 },
      frequencyPenalty: 0.2,
      presencePenalty: 0.3,
      responseFormat: { type: "text" },
      tools: [{ type: "function", name: "g" }],
      toolChoice: "none",
      parallelToolCalls: true,
      thinking: "high",
      verbosity: "high",
      serviceTier: "flex",
      store: true,
      labels: { run: "8" },
      promptCacheKey: "l",
      safetyIdentifier: "i",
      extra: { top_k: 6 }
    }
    const keys = [keyOf(new Chat(base))]
    for (const [field, value] of Object.entries(changes)) {
      keys.push(keyOf(new Chat({ ...base, [field]: value })))
      if (field !== "messages") keys.push(keyOf(new Chat({ ...base, [field]: undefined })))
    }
    const asked = (messages: Request.ChatFields["messages"]) => keyOf(new Chat({ ...base, messages }))
    keys.push(
      asked([
        Message.system("s"),
        Message.user([Message.text("t"), Message.image("data:image/png;base64,AB==")])
      ]),
      asked([
        Message.system("s"),
        Message.user([Message.image("data:image/png;base64,AA=="), Message.text("t")])
      ]),
      asked([Message.user("s"), ...base.messages.slice(1)]),
      asked([Message.system("S"), ...base.messages.slice(1)]),
      cacheKey({ request: new Chat(base), source: "elsewhere" }),
      keyOf(new Chat({ ...base, cache: { sample: 1 } })),
      keyOf(new Chat({ ...base, cache: { sample: 2 } }))
    )
    expect(new Set(keys).size).toBe(keys.length)
  })

  it("does not change with what cannot: id, metadata, how it is cached, and how the request was made", () => {
    const key = keyOf(new Chat(base))
    expect(keyOf(new Chat({ ...base, id: "row 1", metadata: { gold: 4 } }))).toBe(key)
    expect(
      keyOf(
        new Chat({
          ...base,
          cache: { mode: "refresh", timeToLive: "1 hour", namespace: "n", sample: 0 }
        })
      )
    ).toBe(key)
    expect(keyOf(new Chat(Object.fromEntries(Object.entries(base).reverse()) as typeof base))).toBe(key)
  })

  const shuffled = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shuffled)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, member]) => [name, shuffled(member)])
          )
        : value

  it.prop(
    "sees two values as equal exactly when they are equal JSON, in whatever order their members come",
    [FastCheck.jsonValue(), FastCheck.jsonValue()],
    ([a, b]) => {
      expect(canonicalJson(shuffled(a))).toBe(canonicalJson(a))
      expect(JSON.parse(canonicalJson(a))).toEqual(JSON.parse(JSON.stringify(a)))
      const equal = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
      expect(canonicalJson(a) === canonicalJson(b)).toBe(equal)
    }
  )

  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === "object" && value !== null
        ? Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, member]) => [name, sorted(member)])
            .concat([["{}"]])
        : value

  it("writes numbers, strings and members as RFC 8785 does", () => {
    // the example of RFC 8785, section 3.2.3
    const value = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27],
      string: '\u20ac$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false]
    }
    expect(canonicalJson(value)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`
    )
    const names = { "\u20ac": 1, "\r": 2, "1": 3, "\ud83d\ude00": 4, "\u0080": 5, "\u00f6": 6, "\ufb33": 7 }
    expect(Object.values(JSON.parse(canonicalJson(names)) as object)).toHaveLength(7)
    expect(canonicalJson(names)).toBe(
      '{"\\r":2,"1":3,"\u0080":5,"\u00f6":6,"\u20ac":1,"\ud83d\ude00":4,"\ufb33":7}'
    )
  })

  it("is the same in every release of this version", () => {
    expect(keyOf(new Chat(base))).toBe("KpS2U7BjWLU9JS_j64YPYKEInepU1R8ylX8ZFX-xlKg")
    expect(keyOf(Chat.prompt("Why is the sky blue?", { model: "gpt-4.1-mini" }))).toBe(
      "M10kmgb9gDb7xT-jVkDCrTNSKT2B2AjaKoVxpSx3PR8"
    )
  })
})

describe("Endpoint.source", () => {
  const sourceOf = (baseUrl: string) => Endpoint.make({ provider: "openai", baseUrl }).source

  it("tells hosts apart, and not ports, paths or credentials of one", () => {
    expect(sourceOf("https://api.openai.com/v1/")).toBe("api.openai.com")
    expect(sourceOf("https://gateway.example:8443/openai/v1")).toBe("gateway.example")
    for (const url of [
      "http://127.0.0.1:4010/v1",
      "http://localhost:8000",
      "http://[::1]:1/v1",
      "http://127.1.2.3"
    ]) {
      expect(sourceOf(url)).toBe("local")
    }
  })

  it("can be named by the user", () => {
    expect(Endpoint.make({ provider: "openai", baseUrl: "http://a", source: "tenant-1" }).source).toBe(
      "tenant-1"
    )
  })
})
