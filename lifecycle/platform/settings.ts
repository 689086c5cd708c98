/** What Bale takes from the machine and the user's environment. The command line reads it; a program may make its own. */
export interface Settings {
  /** Images and stacks: `$XDG_DATA_HOME/bale`. */
  readonly dataDir: string
  /** Caches of apps and the work directories of builds: `$XDG_CACHE_HOME/bale`. */
  readonly cacheDir: string
  /** For the programs that Bale starts on the host: PATH, proxies. Nothing of it reaches a buildpack but proxies. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The docker config.json, for registry credentials. */
  readonly dockerConfig: string
  /** CNB_REGISTRY_AUTH (platform.md, "Registry Authentication"). */
  readonly registryAuth?: string
  /** Path of the Docker or Podman API's socket. */
  readonly dockerSocket: string
  /** PEM file with the machine's certificate authorities, which a sandbox is given in place of its own. */
  readonly caBundle?: string
  /** Seconds (reproducible-builds.org/specs/source-date-epoch). */
  readonly sourceDateEpoch?: number
  /** A mirror of the Debian archive to make stacks from, instead of the machine's own. */
  readonly debianMirror?: string
}
