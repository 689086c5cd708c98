import type { OnTransfer } from './store.ts'

let transfers = 0

/** Reports each chunk that passes, as one transfer. */
export function transfer(onTransfer: OnTransfer | undefined, name: string, total?: number): (bytes: number) => void {
  if (onTransfer === undefined) return () => {}
  const id = String(++transfers)
  let done = 0
  return bytes => {
    done += bytes
    onTransfer({ id, name, done, total })
  }
}
