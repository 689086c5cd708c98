import type { PhaseName } from '../../errors.ts'
import type { Prepare } from './binary.ts'
import type { FlagTable } from './flags.ts'

export interface Binary {
  /** `lifecycle <verb>` runs the same binary. */
  readonly verb: string
  readonly phase: PhaseName
  readonly flags: FlagTable
  /** Its arguments are image names. Other binaries take none. */
  readonly takesImage?: true
  /** The binary runs buildpacks itself, and refuses to run as root. */
  readonly neverAsRoot?: true
  /** Loaded when it runs, so that one binary's dependencies do not slow the start of the others. */
  load(): Promise<{ readonly prepare: Prepare }>
}

const layout = ['layout', 'layout-dir'] as const
/** Flags for features of `bale build` that other lifecycles do not have. */
const ofBale = ['annotation', 'check-start', 'label', 'secrets'] as const

/** All binaries, with their flags at each API (the usage of each in platform.md, and the Go lifecycle's). */
export const binaries: Readonly<Record<string, Binary>> = {
  analyzer: {
    verb: 'analyze',
    takesImage: true,
    phase: 'analyze',
    flags: {
      always: [
        ...(['analyzed', 'cache-image', 'daemon', 'gid', 'layers'] as const),
        ...(['previous-image', 'run-image', 'tag', 'uid'] as const),
      ],
      since: {
        launchCacheInAnalyzer: ['launch-cache', 'skip-layers'],
        layout,
        runToml: ['run'],
        insecureRegistries: ['insecure-registry'],
      },
      until: { runToml: ['stack'] },
    },
    load: () => import('./analyzer.ts'),
  },
  detector: {
    verb: 'detect',
    phase: 'detect',
    neverAsRoot: true,
    flags: {
      always: ['app', 'buildpacks', 'group', 'layers', 'order', 'plan', 'platform', 'secrets'],
      since: {
        buildExtensions: ['analyzed', 'extensions', 'generated'],
        buildConfig: ['build-config'],
        runToml: ['run'],
        systemToml: ['system'],
      },
    },
    load: () => import('./detector.ts'),
  },
  restorer: {
    verb: 'restore',
    phase: 'restore',
    flags: {
      always: ['analyzed', 'cache-dir', 'cache-image', 'gid', 'group', 'layers', 'skip-layers', 'uid'],
      since: {
        buildExtensions: ['build-image'],
        runExtensions: ['daemon', 'generated'],
        layout,
        insecureRegistries: ['insecure-registry'],
        restorerChecksRunImage: ['run'],
      },
    },
    load: () => import('./restorer.ts'),
  },
  extender: {
    verb: 'extend',
    phase: 'extend',
    flags: {
      always: [],
      since: {
        buildExtensions: [
          'only-image',
          ...(['analyzed', 'app', 'buildpacks', 'generated', 'gid', 'group'] as const),
          ...(['kaniko-cache-ttl', 'layers', 'plan', 'platform', 'secrets', 'uid'] as const),
        ],
        buildConfig: ['build-config'],
        runExtensions: ['extended', 'kind'],
      },
    },
    load: () => import('./extender.ts'),
  },
  builder: {
    verb: 'build',
    phase: 'build',
    neverAsRoot: true,
    flags: {
      always: ['app', 'buildpacks', 'group', 'layers', 'plan', 'platform', 'secrets'],
      since: { buildConfig: ['build-config'], targets: ['analyzed'] },
    },
    load: () => import('./builder.ts'),
  },
  exporter: {
    verb: 'export',
    takesImage: true,
    phase: 'export',
    flags: {
      always: [
        ...(['analyzed', 'app', 'cache-dir', 'cache-image', 'daemon', 'gid', 'group', 'launch-cache'] as const),
        ...(['launcher', 'layers', 'parallel', 'process-type', 'project-metadata', 'report', 'uid'] as const),
        ...ofBale,
        // Accepted so that it can be rejected with a better message.
        ...(['image', 'run-image'] as const),
      ],
      since: {
        launcherSbom: ['launcher-sbom'],
        runExtensions: ['extended'],
        layout,
        runToml: ['run'],
        insecureRegistries: ['insecure-registry'],
      },
      until: { runToml: ['stack'] },
    },
    load: () => import('./exporter.ts'),
  },
  creator: {
    verb: 'create',
    takesImage: true,
    phase: 'export',
    flags: {
      always: [
        ...(['app', 'buildpacks', 'cache-dir', 'cache-image', 'daemon', 'gid', 'launch-cache', 'launcher'] as const),
        ...(['layers', 'order', 'parallel', 'platform', 'previous-image', 'process-type', 'project-metadata'] as const),
        ...(['report', 'run-image', 'skip-restore', 'stack', 'tag', 'uid'] as const),
        ...ofBale,
      ],
      since: {
        buildConfig: ['build-config'],
        launcherSbom: ['launcher-sbom'],
        layout,
        runToml: ['run'],
        insecureRegistries: ['insecure-registry'],
        systemToml: ['system'],
      },
    },
    load: () => import('./creator.ts'),
  },
  rebaser: {
    verb: 'rebase',
    takesImage: true,
    phase: 'rebase',
    flags: {
      always: ['daemon', 'gid', 'image', 'report', 'run-image', 'uid'],
      since: {
        previousImageInRebaser: ['previous-image'],
        forceRebase: ['force'],
        insecureRegistries: ['insecure-registry'],
      },
    },
    load: () => import('./rebaser.ts'),
  },
}

/** Returns the binary's name and its arguments, from argv[0] or from `lifecycle <verb>`. */
export function findBinary(argv: readonly string[]): { name: string; binary?: Binary; rest: readonly string[] } {
  const [own = '', first = '', ...more] = argv
  const name = own.slice(own.lastIndexOf('/') + 1)
  if (Object.hasOwn(binaries, name)) return { name, binary: binaries[name], rest: argv.slice(1) }
  const found = Object.entries(binaries).find(([, b]) => b.verb === first)
  return found ? { name: found[0], binary: found[1], rest: more } : { name: first, rest: more }
}
