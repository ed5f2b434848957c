/**
 * Makes text that others wrote safe to print and to store: one line, bounded, without credentials.
 *
 * Providers echo parts of keys ("Incorrect API key provided: sk-ab***yz"), proxies whole headers, and
 * gateways whole HTML pages.
 */

/** Longest message kept, in UTF-16 code units, the ellipsis included. */
export const maxLength = 500

/** What stands where a credential stood. */
const redacted = "[redacted]"

// Only this much of a text is searched: it bounds the cost of the patterns on a page of HTML.
const maxSearched = 4_000

const credentials: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/\b(Bearer|Basic)\s+[\w.~+/*=-]{6,}/gi, `$1 ${redacted}`],
  // "API key provided: x", "x-api-key: x", "?key=x"; a word such as "missing" after it is no key.
  [
    /\b((?:x-)?(?:goog-)?api[-_ ]?key(?: provided)?|authorization|access[-_]token|secret)(["']?\s*[:=]\s*["']?)(?=[^\s"',;&]*[\d*]|[^\s"',;&]{20})[^\s"',;&]*[^\s"',;&.]/gi,
    `$1$2${redacted}`
  ],
  [/([?&]key=)[^\s"'&]+/gi, `$1${redacted}`],
  // OpenAI and those who copied it, Anthropic, OpenRouter (sk-), Groq, xAI, Cerebras, Perplexity, NVIDIA …
  [/\b(?:sk|xai|csk|pplx|nvapi)-[\w*.…-]*[\w*…]/g, redacted],
  [/\b(?:fw|pa|pk|rk)-[\w-]{16,}/g, redacted],
  [/\b(?:sk|gsk|hf|r8|fw|tgp_v1|jina|ghp)_[\w*…-]{4,}/g, redacted],
  // Google: API keys, OAuth tokens. Amazon: access key ids. JSON web tokens.
  [/\bAIza[\w*…-]*/g, redacted],
  [/\bya29\.[\w*.…-]*/g, redacted],
  [/\bAKIA[0-9A-Z]{8,}/g, redacted],
  [/\beyJ[\w-]{6,}\.[\w.-]+/g, redacted],
  // Any partly hidden word, and any long run of letters and digits (Azure, Mistral and Cohere keys).
  [/(?<![^\s"'*])[^\s"'*]*\*{3,}(?:[^\s"']*[^\s"'.])?/g, redacted],
  [/\b(?=[A-Za-z]*\d[A-Za-z]*\d)[A-Za-z0-9]{32,}/g, redacted]
]

/** Hides whatever looks like a credential. */
const redact = (text: string): string => {
  let out = text
  for (const [pattern, replacement] of credentials) out = out.replace(pattern, replacement)
  return out
}

/** `text` as one line of at most `limit` code units: no control characters, no credentials. */
export const safeText = (text: string, limit: number = maxLength): string => {
  const line = redact(
    text
      .slice(0, maxSearched)
      .replace(/[\s\p{Cc}\p{Cf}]+/gu, " ")
      .trim()
  )
  if (line.length <= limit && text.length <= maxSearched) return line
  // Not in the middle of a surrogate pair.
  return `${line.slice(0, limit - 1).replace(/[\uD800-\uDBFF]$/, "")}…`
}

/** `text` where it can pass for an identifier that is safe to print, else `undefined`. */
export const safeId = (text: string | undefined): string | undefined =>
  text !== undefined && text.length > 0 && text.length <= 200 && /^[\x21-\x7e]+$/.test(text)
    ? text
    : undefined
