/**
 * Objects by key, somewhere that many machines reach. Keys have the characters `a-z 0-9 . _ - /` only. An object is written
 * and replaced whole: a reader gets the old bytes or the new ones. All methods throw a BaleError 'cache' where the storage
 * cannot be reached or refuses, and the signal's reason once it is aborted.
 */
export interface ObjectStorage extends AsyncDisposable {
  /** For messages; without credentials. */
  readonly description: string
  /**
   * Returns an object, or undefined if there is none.
   * @throws BaleError 'input' for one of more than `limit` bytes
   */
  get(key: string, limit: number, signal?: AbortSignal): Promise<Uint8Array | undefined>
  /**
   * Returns the size of an object in bytes, or undefined if there is none. An object that will expire before a new one would
   * live half its time may count as absent, so that it is written again.
   */
  size(key: string, signal?: AbortSignal): Promise<number | undefined>
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>
}
