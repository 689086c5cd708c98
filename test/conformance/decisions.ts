import type { Decision } from './table.ts'

/**
 * What the specification leaves open, or says otherwise than lifecycles do: what the phase binaries do, and why. Where nothing
 * is said, they do what the Go lifecycle does, since platforms are written against it.
 */
export const decisions: readonly Decision[] = [
  {
    about: 'Exit statuses of situations for which the specification has only ranges',
    decision:
      'what a phase reads itself, such as images, has the phase’s own status, and what it only finds before it begins has 1: a registry or daemon that cannot be reached is 32 in analyzer and creator, 62 in exporter, 72 in rebaser; an order without groups 20; a missing app directory 21; an unknown process type 62; a missing buildpack, bad project metadata and a cache image that cannot be reached 1',
    tests: [
      'cli/phase/statuses: exit statuses are those of the Go lifecycle, each with one error',
      'cli/phase/exporter: %s missing or of wrong type: 1',
    ],
  },
  {
    about: 'An unknown log level',
    decision: '1',
    tests: ['cli/phase/main: %s: an unknown log level is 1'],
  },
  {
    about: 'Arguments of binaries that take none',
    decision: 'they are refused with 3: such an argument is most often a flag without its dash',
    tests: ['cli/phase/main: %s takes no arguments'],
  },
  {
    about: 'analyzer given a digest',
    decision: 'it is the previous image; nothing is written to it',
    tests: ['cli/phase/analyzer: may name an image by its digest, which is then the previous one'],
  },
  {
    about: 'A run image that does not exist, also in a daemon',
    decision:
      'analyzer fails with 3, as analyzed.toml MUST describe the run image (platform.md, “analyzer”). The Go lifecycle goes on in a daemon, and fails in exporter',
    tests: [
      'cli/phase/analyzer: a run image that is not there',
      'cli/phase/analyzer: a run image that is not in the daemon: 3, before anything is written',
    ],
  },
  {
    about: 'A cache image that cannot be reached, or is refused',
    decision:
      'restorer and exporter fail with 1, before any work. One that is missing or damaged costs time and is a warning',
    tests: ['cli/phase/restorer: that cannot be read is 1 in restorer and exporter: %s'],
  },
  {
    about: 'A cache image',
    decision: 'has a history and at least one layer, since others cannot read it without',
    tests: [
      'caches/image: C20 has an entry of the history for each layer: others panic on one without',
      'caches/image: C20 has one empty layer when there is nothing to cache: registries refuse an image without layers',
    ],
  },
  {
    about: 'A backup in a cache volume that cannot be moved',
    decision: 'is gone round: the cache goes on being written',
    tests: ['caches/crashes.e2e: C19 go round a backup that cannot be moved or deleted, which freezes nothing'],
  },
  {
    about: 'Volumes of a builder whose user id has changed',
    decision:
      'binaries that start as root give them to the user, whoever owns what is in them: from descriptor to descriptor, without following links, and no file with several names',
    tests: [
      'cli/phase/privileges: gives the user a volume of builders that had other users, whoever owns the top of it',
      'cli/phase/privileges: gives the user the shared directories, follows no link and takes no second name (X22)',
    ],
  },
  {
    about: 'Image extensions',
    decision:
      'are detected and generate; the run image that they select is used. extender applies build.Dockerfiles with ARG, ENV, LABEL, USER, WORKDIR, SHELL, COPY, ADD of files and RUN, once in each build, and refuses what it does not understand; run.Dockerfiles in the same way, each of which makes one layer of what it changes outside of mounted directories. Files keep the times that they have from packages; extended attributes are not kept. The order of groups is the specification’s (each group of extensions with all groups of buildpacks), not that of the Go lifecycle; a Dockerfile that names an image and has more instructions extends it, as there. Below API 0.10 detector says that they take no part. `bale build` does the same in sandboxes: [from-pack.md](from-pack.md#image-extensions)',
    tests: [
      'cli/phase/extensions: selects a run image: %s',
      'spec/resolve-order: puts each group of image extensions in front of each group of buildpacks',
      'cli/phase/buildpacks: does not know of image extensions at %s, passes them over, and says so',
      'cli/phase/exporter: refuses to go on without the run image that extender makes',
      'spec/documents: D01 D02 refuses %j',
    ],
  },
  {
    about: 'A plan without entries, and an entry that nobody requires',
    decision: 'the former is an empty file, the latter is accepted',
    tests: [
      'spec/plan: is an empty file without entries, as platforms know it',
      'spec/plan: may have an entry that nobody requires',
    ],
  },
  {
    about: 'direct = false in metadata.toml of Buildpack API 0.9 and later',
    decision: 'the launcher starts the process with a shell',
    tests: ['launcher/process: Buildpack API ${api}: a process says whether it is direct'],
  },
  {
    about: 'The label io.buildpacks.build.metadata',
    decision:
      'has api of each buildpack, as the specification says and the Go lifecycle does not; exec-env only where a process names some',
    tests: ['spec/labels: says who built and what can be started'],
  },
  {
    about: 'Tags in report.toml',
    decision: 'are the names as they were given, which is how platforms look for them',
    tests: ['cli/phase/exporter: writes config, labels and report as that API has them'],
  },
  {
    about: 'The format of an app image',
    decision: 'in a registry, that of its run image',
    tests: ['cli/phase/exporter: gives the image the format of its run image in a registry: %s'],
  },
  {
    about: 'A registry at a private address, or with a name in .local',
    decision: 'may do without TLS, as on this machine; another is named with -insecure-registry',
    tests: ['stores/registry-parts: %s is on this machine: %s, and may do without TLS: %s'],
  },
  {
    about: 'SBOM files in a format that buildpack.toml does not declare',
    decision: 'builder fails, naming the format, as the specification says',
    tests: ['phases/build: refuses an SBOM in a format that buildpack.toml does not declare'],
  },
]
