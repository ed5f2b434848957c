/** A queue, first in, first out, whose members can leave from the middle at no cost. */

export class QueueNode {
  /** @internal */
  next: this | undefined = undefined
  /** @internal */
  previous: this | undefined = undefined
}

export class PermitQueue<A extends QueueNode> {
  size = 0
  head: A | undefined = undefined
  #tail: A | undefined = undefined

  push(node: A): void {
    node.previous = this.#tail
    if (this.#tail === undefined) this.head = node
    else this.#tail.next = node
    this.#tail = node
    this.size++
  }

  /** Takes in a member where it belongs: behind all that it does not go before. */
  insert(node: A, goesBefore: (other: A) => boolean): void {
    let before: A | undefined = this.#tail
    // whoever comes back is older than most
    if (this.head !== undefined && goesBefore(this.head)) before = undefined
    else while (before !== undefined && goesBefore(before)) before = before.previous
    if (before === this.#tail) {
      this.push(node)
      return
    }
    const after: A | undefined = before === undefined ? this.head : before.next
    node.previous = before
    node.next = after
    if (before === undefined) this.head = node
    else before.next = node
    if (after !== undefined) after.previous = node
    this.size++
  }

  /** Takes out a member of this queue. */
  remove(node: A): void {
    if (node.previous === undefined) this.head = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.#tail = node.previous
    else node.next.previous = node.previous
    node.next = undefined
    node.previous = undefined
    this.size--
  }

  /** The members from the head on. The one at hand may leave meanwhile, and new ones may come. */
  *[Symbol.iterator](): Iterator<A> {
    let node = this.head
    while (node !== undefined) {
      const next: A | undefined = node.next
      yield node
      node = next
    }
  }
}
