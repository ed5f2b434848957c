import { type AddressInfo, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as TestServices from "effect/TestServices"
import * as Cache from "../src/Cache.js"
import { redisTrouble } from "../src/internal/redisTrouble.js"
import * as RateLimiter from "../src/RateLimiter.js"

/** A server that treats each connection so; its port. */
const server = (meet: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const listening = createServer((socket) => {
        sockets.add(socket.on("error", () => {}))
        meet(socket)
      }).listen(0, "127.0.0.1", () => {
        const { port } = listening.address() as AddressInfo
        resume(
          Effect.succeed({
            port,
            close: () => {
              listening.close()
              for (const socket of sockets) socket.destroy()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ port }) => port))

/** Answers each command that comes in. */
const answering = (answer: (command: string) => string | undefined) => (socket: Socket) => {
  socket.on("data", (data) => {
    for (const command of data.toString().split(/^\*/m).slice(1)) {
      const text = answer(command)
      if (text !== undefined) socket.write(text)
    }
  })
}

const reply = JSON.stringify({
  now: "0",
  admitted: 0,
  wait: 0,
  due: "0",
  waitingFor: 0,
  pause: 0,
  reason: "",
  used: [],
  stated: []
})
/** As much of Redis as the layers ask at the start. */
const redis = (command: string) => {
  if (/\r\nevalsha\r\n/i.test(command)) return `$${reply.length}\r\n${reply}\r\n`
  return /\r\ninfo\r\n/i.test(command) ? "$9\r\nloading:0\r\n" : "+OK\r\n"
}

const start = (options: RateLimiter.RedisOptions) =>
  Effect.asVoid(Effect.scoped(Layer.build(RateLimiter.layerRedis({ timeout: "200 millis", ...options }))))

const problem = (options: RateLimiter.RedisOptions) =>
  Effect.map(Effect.flip(start(options)), ({ message }) => {
    assert.notInclude(message, "hidden")
    return message
  })

const urlOf = (port: number) => `redis://user:hidden@127.0.0.1:${port}`

describe("a connection to Redis", () => {
  it.live("says where the server is to be, what is wrong, and what to do", () =>
    Effect.gen(function* () {
      const refused = yield* problem({ url: urlOf(1) })
      assert.match(refused, /^Redis at 127\.0\.0\.1:1: nothing listens there\. .*\(ECONNREFUSED\)$/)
      const cached = yield* Effect.flip(
        Effect.scoped(Layer.build(Cache.layerRedis({ url: urlOf(1), timeout: "100 millis" })))
      )
      assert.strictEqual(cached.message, refused)

      const closing = yield* server((socket) => socket.destroy())
      assert.match(
        yield* problem({ url: urlOf(closing) }),
        new RegExp(`^Redis at 127.0.0.1:${closing}: .*TLS`)
      )
      const noPath = yield* problem({ url: "unix:///nowhere/redis.sock" })
      assert.match(noPath, /^Redis at \/nowhere\/redis\.sock: no such socket/)
    }).pipe(Effect.scoped)
  )

  it.live("does not try again what would end the same", () =>
    Effect.gen(function* () {
      // longer than this test may take
      const timeout = "1 minute"
      const password = yield* server(answering(() => "-WRONGPASS invalid username-password pair\r\n"))
      const secret = Redacted.make(urlOf(password))
      assert.match(
        yield* problem({ url: secret, timeout }),
        /refuses the user or the password.*\(WRONGPASS\)$/
      )
      const open = yield* server(answering(() => "-NOAUTH Authentication required.\r\n"))
      assert.match(yield* problem({ url: `redis://127.0.0.1:${open}`, timeout }), /asks for a password/)
      const web = yield* server((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
      assert.match(yield* problem({ url: urlOf(web), timeout }), /no Redis server/)
      const small = yield* server(
        answering((command) =>
          /\r\nselect\r\n/i.test(command) ? "-ERR DB index is out of range\r\n" : redis(command)
        )
      )
      assert.match(yield* problem({ url: `${urlOf(small)}/99`, timeout }), /no database of the number/)
      assert.match(yield* problem({ url: `${urlOf(small)}/name`, timeout }), /the database a number/)
      assert.match(yield* problem({ url: "redis://:hidden%x@host", timeout }), /cannot be read/)
      assert.match(yield* problem({ url: "http://127.0.0.1", timeout }), /begins with redis:\/\//)
      assert.match(yield* problem({ timeout }), /^Limits in Redis need either a url or a client$/)
    }).pipe(Effect.scoped)
  )

  it.live("waits longer for a server that is slow to let us in than for an answer", () =>
    Effect.gen(function* () {
      let letIn = false
      let asked = 0
      const slow = yield* server((socket) => {
        setTimeout(() => {
          letIn = true
          // the first script too is late
          answering((command) => {
            if (!/\r\nevalsha\r\n/i.test(command) || asked++ > 0) return redis(command)
            setTimeout(() => socket.write(redis(command)), 300)
            return undefined
          })(socket)
        }, 500)
      })
      yield* start({ url: urlOf(slow), timeout: "100 millis" })
      assert.isTrue(letIn)
    }).pipe(Effect.scoped)
  )

  it.scoped("gives up in the end on one that is silent", () =>
    Effect.gen(function* () {
      let taken = 0
      const silent = yield* server(() => taken++)
      const problems = yield* Effect.fork(problem({ url: urlOf(silent) }))
      while (taken === 0) yield* TestServices.provideLive(Effect.sleep(5))
      yield* TestServices.provideLive(Effect.sleep(50))
      yield* TestClock.adjust("4 seconds")
      assert.isTrue((yield* Fiber.poll(problems))._tag === "None")
      yield* TestClock.adjust("1200 millis")
      assert.match(yield* Fiber.join(problems), /silent for 5000 ms.*Is it a Redis server/)
    })
  )

  it("has words for what goes wrong later", () => {
    const messageOf = (message: string, code?: string) =>
      redisTrouble(Object.assign(new Error(message), code === undefined ? {} : { code })).message
    assert.match(messageOf("", "ECONNREFUSED"), /nothing listens there/)
    assert.match(messageOf("connect ETIMEDOUT", "ETIMEDOUT"), /in time/)
    assert.match(
      messageOf("Stream isn't writeable and enableOfflineQueue options is false"),
      /closed the connection/
    )
    assert.match(messageOf("NOPERM User x has no permissions to run the 'evalsha' command"), /Allow it EVAL/)
    assert.match(messageOf("READONLY You can't write against a read only replica."), /primary/)
    assert.strictEqual(messageOf("OOM command not allowed"), "OOM command not allowed")
  })
})
