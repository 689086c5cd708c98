/**
 * Objects by key, in a place that many machines reach. Keys have only the characters `a-z 0-9 . _ - /`. An object is written
 * and replaced atomically: a reader gets the old bytes or the new ones. All methods throw a BaleError 'cache' if the storage
 * cannot be reached or refuses, and the signal's reason once it is aborted.
 */
export interface ObjectStorage extends AsyncDisposable {
  /** For messages; without credentials. */
  readonly description: string
  /**
   * Returns an object, or undefined if there is none.
   * @throws BaleError 'input' for an object of more than `limit` bytes
   */
  get(key: string, limit: number, signal?: AbortSignal): Promise<Uint8Array | undefined>
  /**
   * Returns the size of an object in bytes, or undefined if there is none. An object that will expire before a new one would
   * live half its time may count as absent, so that it is written again.
   */
  size(key: string, signal?: AbortSignal): Promise<number | undefined>
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>
}
