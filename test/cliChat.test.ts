import { PassThrough } from "node:stream"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { Message } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as Conversation from "../src/cli/chatConversation.js"
import * as Draft from "../src/cli/chatDraft.js"
import { complete, help, Line, parse } from "../src/cli/chatLine.js"
import * as TerminalLines from "../src/cli/terminalLines.js"
import { folder, run, serve } from "./process.js"

describe("a line of a chat", () => {
  it("is a command or a text", () => {
    expect(parse(" /help ")).toEqual(Line.Help())
    expect(parse("/quit")).toEqual(Line.Exit())
    expect(parse("/model")).toEqual(Line.Model({ name: undefined }))
    expect(parse("/Model gpt-5-mini")).toEqual(Line.Model({ name: "gpt-5-mini" }))
    expect(parse("/system Be brief.\nAnd kind.")).toEqual(Line.System({ text: "Be brief.\nAnd kind." }))
    expect(parse(`/image '/tmp/a cat.png'`)).toEqual(Line.Image({ source: "/tmp/a cat.png" }))
    expect(parse("//help")).toEqual(Line.Text({ text: "/help" }))
    expect(parse("/etc/hosts is what?")).toEqual(Line.Text({ text: "/etc/hosts is what?" }))
    expect(parse("5 / 2")).toEqual(Line.Text({ text: "5 / 2" }))
  })

  it("that is no command says which was meant", () => {
    const mistakes = ["/hlep", "/xyzzy", "/save", "/clear all"].map(parse)
    expect(mistakes.map((line) => (line._tag === "Mistake" ? line.message : line))).toEqual([
      'there is no command /hlep; did you mean "/help"?',
      "there is no command /xyzzy; /help tells them all",
      "write /save FILE",
      "/clear takes nothing after it"
    ])
  })

  it("is completed to commands only", () => {
    expect(complete("/u")).toEqual(["/undo", "/usage"])
    expect(complete("/sa")).toEqual(["/save "])
    expect(complete("what about /u")).toEqual([])
    for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(80)
  })
})

describe("several lines of a chat", () => {
  const typed = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
    const texts: Array<string> = []
    let draft = Draft.empty
    for (const line of lines) {
      const added = Draft.add(draft, line)
      draft = added.draft ?? Draft.empty
      if (added.text !== undefined) texts.push(added.text)
    }
    expect(Draft.isEmpty(draft)).toBe(true)
    return texts
  }

  it("are one text, where it goes on", () => {
    expect(typed(["one", "two \\", "three\\", "four", "five"])).toEqual(["one", "two \nthree\nfour", "five"])
    expect(typed(['"""', "a", "", 'b"""', '"""c"""'])).toEqual(["a\n\nb", "c"])
    expect(Draft.textOf(Draft.add(Draft.empty, "left \\").draft ?? Draft.empty)).toBe("left ")
  })

  it("between quotes are what they are", () => {
    const line = FastCheck.string().filter((text) => !text.includes('"') && !text.includes("\n"))
    FastCheck.assert(
      FastCheck.property(FastCheck.array(line, { minLength: 1 }), (lines) => {
        expect(typed(['"""', ...lines, '"""'])).toEqual([lines.join("\n")])
      })
    )
  })
})

describe("a conversation", () => {
  const said = (...texts: ReadonlyArray<string>) =>
    texts.reduce(
      (conversation, text) =>
        Conversation.answered(
          conversation,
          Conversation.question(conversation, text),
          Message.assistant(`${text}!`)
        ),
      Conversation.empty
    )
  const textsOf = ({ messages }: Conversation.Conversation) => messages.map(({ content }) => content)

  it("goes back a question at a time, and asks again what got no answer", () => {
    const two = said("a", "b")
    const last = Conversation.back(two)
    expect(last?.asked.content).toBe("b")
    expect(last && textsOf(last.before)).toEqual(["a", "a!"])
    const failed = Conversation.failed(two, Message.user("c"))
    expect(textsOf(failed)).toEqual(["a", "a!", "b", "b!"])
    expect(Conversation.back(failed)).toEqual({ asked: Message.user("c"), before: two })
    expect(Conversation.back(Conversation.cleared(failed))).toBeUndefined()
  })

  it("shows an image with one question", () => {
    const image = Message.image("https://example.com/cat.png")
    const attached = { ...Conversation.empty, attached: [image] }
    const asked = Conversation.question(attached, "What is it?")
    expect(asked.content).toEqual([Message.text("What is it?"), image])
    const next = Conversation.answered(attached, asked, Message.assistant("A cat."))
    expect(Conversation.question(next, "Sure?").content).toBe("Sure?")
  })

  it("is read back as it was saved, by the library too", () => {
    const texts = FastCheck.array(FastCheck.string({ minLength: 1 }))
    const maybe = FastCheck.option(FastCheck.string({ minLength: 1 }), { nil: undefined })
    FastCheck.assert(
      FastCheck.property(texts, maybe, maybe, (texts, model, system) => {
        const conversation = { ...said(...texts), model, system }
        const saved = Conversation.toJson(conversation)
        expect(Conversation.fromJson(saved)).toEqual(Either.right(conversation))
        const { messages } = JSON.parse(saved)
        const request = Conversation.request(conversation, Message.user("?"))
        expect(Either.map(request, (chat) => chat.messages)).toEqual(
          Either.right([...messages, Message.user("?")])
        )
      })
    )
  })

  it("is read from a body of OpenAI's endpoint as well, and from nothing else", () => {
    const body = {
      model: "m",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "image_url", image_url: { url: "https://example.com/cat.png" } }] }
      ]
    }
    expect(Conversation.fromJson(JSON.stringify(body))).toMatchObject({
      right: {
        model: "m",
        system: "Be brief.",
        messages: [{ content: [{ type: "image", url: "https://example.com/cat.png" }] }]
      }
    })
    for (const text of ["", "[]", '{"a":1}', '{"messages":[{"role":"king","content":"x"}]}']) {
      expect(Either.isLeft(Conversation.fromJson(text))).toBe(true)
    }
  })
})

describe("a terminal", () => {
  const terminal = Effect.gen(function* () {
    const stdin = new PassThrough()
    const stdout = Object.assign(new PassThrough(), { columns: 80 })
    let shown = ""
    stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text
    })
    const lines = yield* TerminalLines.make({ stdin, stdout, isTerminal: true, history: [], complete })
    return { keys: (text: string) => void stdin.write(text), lines, shown: () => shown }
  })

  it.scopedLive("gives lines, and Ctrl-C at the prompt takes one back", () =>
    Effect.gen(function* () {
      const { keys, lines } = yield* terminal
      const next = yield* Effect.fork(lines.next("> "))
      keys("one\r")
      expect(yield* Fiber.join(next)).toEqual({ _tag: "Line", text: "one" })
      keys("half\u0003")
      expect(yield* lines.next("> ")).toEqual({ _tag: "Interrupt", isEmpty: false })
      keys("\u0003")
      expect(yield* lines.next("> ")).toEqual({ _tag: "Interrupt", isEmpty: true })
      keys("two\r")
      expect(yield* lines.next("> ")).toEqual({ _tag: "Line", text: "two" })
      expect(lines.history()).toEqual(["two", "one"])
      keys("\u0004")
      expect(yield* lines.next("> ")).toEqual({ _tag: "End" })
    })
  )

  it.scopedLive("keeps what is typed during an answer for the next prompt, and hears Ctrl-C", () =>
    Effect.gen(function* () {
      const { keys, lines, shown } = yield* terminal
      const answer = yield* Effect.fork(lines.interrupted)
      yield* Effect.yieldNow()
      keys("ahead\u0003")
      yield* Fiber.join(answer)
      expect(shown()).not.toContain("ahead")
      const next = yield* Effect.fork(lines.next("> "))
      keys(" of time\r")
      expect(yield* Fiber.join(next)).toEqual({ _tag: "Line", text: "ahead of time" })
      keys("\u0003")
      expect(yield* lines.next("> ")).toEqual({ _tag: "Interrupt", isEmpty: true })
    })
  )
})

describe.concurrent("floodgate chat", () => {
  it.scopedLive("answers each line of a pipe with all before it, and saves what was said", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const { bodies, url } = yield* serve()
      const saved = files.path("talk.json")
      const stdin = `one\n/system Be brief\n"""\ntwo\nlines\n"""\n/undo\nthree\n/save ${saved}\n`
      const end = yield* run(["chat"], { url, stdin })
      expect(end).toMatchObject({ code: 0, stdout: "ONE\nTWO\nLINES\nTHREE\n" })
      expect(bodies.map(({ messages }) => messages.map(({ content }) => content))).toEqual([
        ["one"],
        ["Be brief", "one", "ONE", "two\nlines"],
        ["Be brief", "one", "ONE", "three"]
      ])
      const again = yield* run(["chat", "--load", saved], { url, stdin: "four" })
      expect(again).toMatchObject({ code: 0, stdout: "FOUR\n" })
      expect(bodies.at(-1)?.messages).toEqual([
        ...(files.json("talk.json").messages as ReadonlyArray<unknown>),
        { role: "user", content: "four" }
      ])
    })
  )

  it.scopedLive("says an error in one line and goes on", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.make({
        script: [
          { match: "too much", times: 1, fault: { kind: "status", status: 429, retryAfter: "1 hour" } }
        ]
      })
      const end = yield* run(["chat"], { url, stdin: "too much\n/image nowhere.png\n/usage\n" })
      expect(end).toMatchObject({ code: 1, stdout: "" })
      expect(end.stderr.trim().split("\n")).toEqual([
        expect.stringContaining("(/retry asks again)"),
        expect.stringContaining("nowhere.png cannot be read"),
        "0 answers, 0 tokens in, 0 out, $0.00"
      ])
    })
  )
})
