/** What ails a connection to Redis, in words that say what to do. Of errors nothing else is told: they may hold a password. */

export interface Trouble {
  readonly message: string
  /** Another try would meet the same. */
  readonly isFinal: boolean
}

const certificate = "the server's certificate is not trusted"

/** By the code of a network's error, or the first word of an answer of the server. */
const known: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there. Is the server running, and are host and port right?",
  ENOENT: "no such socket. Is the server running, and is the path right?",
  EACCES: "this user may not open the socket",
  ENOTFOUND: "no such host. Is its name right?",
  EAI_AGAIN: "the host name could not be looked up just now. Is there a network?",
  ETIMEDOUT:
    "it did not take the connection in time. Are host and port right, and does a firewall let us through?",
  EHOSTUNREACH: "the host cannot be reached from here",
  ENETUNREACH: "there is no network to it from here",
  ECONNRESET: "the connection broke. Does the server expect TLS (rediss://), or did it restart?",
  EPIPE: "it closed the connection. Does it expect TLS (rediss://), and does it let this machine in?",
  EPROTO: "the TLS handshake failed. Does the server speak TLS? Without it, the URL begins with redis://",
  ERR_SSL_WRONG_VERSION_NUMBER:
    "the TLS handshake failed. Does the server speak TLS? Without it, the URL begins with redis://",
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    "the TLS handshake failed. Does the server speak TLS? Without it, the URL begins with redis://",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate,
  SELF_SIGNED_CERT_IN_CHAIN: certificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate,
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host"
}

/** The server turned us away, and will again. */
const refused: Readonly<Record<string, string>> = {
  WRONGPASS: "it refuses the user or the password. Are those in the URL right?",
  NOAUTH: "it asks for a password. Give it in the URL: redis://user:password@host:port",
  NOPERM: "its user may not do this. Allow it EVAL and EVALSHA on our keys",
  READONLY: "it is a replica, which nobody may write to. Use the primary",
  MOVED: "it is one node of a cluster. Give a client of the cluster instead of a URL"
}

// the client's words for what it could not send, or will get no answer to any more
const closing = /isn't writeable|connection (is )?close|max retries per request/i

/** Whether an error says only that there is no connection, and not why. */
export const saysNothing = (cause: unknown): boolean => closing.test(textOf(cause))

/** Whether the server lacks the database that the URL names. */
export const lacksDatabase = (cause: unknown): boolean => textOf(cause).includes("DB index is out of range")

export const redisTrouble = (cause: unknown): Trouble => {
  const text = textOf(cause)
  const code = codeOf(cause)
  const network = known[code]
  if (network !== undefined) return { message: `${network} (${code})`, isFinal: false }
  const answer = /^(?:Ready check failed: )?-?([A-Z]{5,})\b/.exec(text)?.[1] ?? ""
  const reason = refused[answer]
  if (reason !== undefined) return { message: `${reason} (${answer})`, isFinal: answer !== "READONLY" }
  if (lacksDatabase(cause)) {
    return { message: "it has no database of the number that ends the URL", isFinal: true }
  }
  if (text.startsWith("Protocol error")) {
    return { message: "what answers there is no Redis server. Are host and port right?", isFinal: true }
  }
  if (saysNothing(cause)) {
    return {
      message: "it closed the connection. Does it expect TLS (rediss://), and does it let this machine in?",
      isFinal: false
    }
  }
  return { message: text, isFinal: false }
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
