import type { Document } from './table.ts'

// Reasons that many rows share.
const author = 'the author of a buildpack keeps it; the lifecycle cannot know'
const notAmongBuildpacks = 'an extension is in no directory of buildpacks: an order with one names what is not there'
const extensionPlan =
  'spec/resolve-plan: an extension provides for a later buildpack, and is left out where nothing requires what it provides'
const windows = 'Windows images are not supported'
const specification = 'it binds the specification itself'

const noCredentials = 'engines/view-cases: K15 nothing of our environment and command line'
const noCredentialsEither = 'cli/phase/buildpacks: K14 K15 keep registry credentials from buildpacks'

const launcherOrder = 'launcher/env: X${suffix}'
const launcherDirectories = 'launcher/env: X${suffix}: env, env.launch, env.launch/<process>'
const buildOrder = 'phases/build: applies X%s of env, then env.build, layer by layer, buildpack by buildpack'
const detectInputs = 'phases/detect: gives bin/detect the inputs of Buildpack API %s'
const buildInputs = 'phases/build: gives bin/build the inputs of Buildpack API %s'
const restored = 'phases/restore: of a layer for %j: metadata and SBOM %s, contents %s'
const publish = 'spec/documents: is strict when it is to be published'

/** The rows of buildpack.md. */
export const buildpack: Document = {
  file: 'buildpack.md',
  oldest: '0.7',
  newest: '0.12',
  sections: [
    {
      section: 'Buildpack API Version',
      rows: [
        {
          line: 88,
          what: 'a version is major.minor, or major alone',
          tests: ['spec/api: D18 refuses %j, naming the buildpack'],
        },
        { line: 89, what: 'both are plain numbers', tests: ['spec/api: D18 refuses %j, naming the buildpack'] },
        { line: 90, what: 'after 1.0 minor versions only add', notApplicable: specification },
      ],
    },
    {
      section: 'Terminology › CNB Terminology',
      rows: [
        {
          line: 104,
          what: 'a composite buildpack resolves to components',
          tests: [
            'phases/detect: expands a composite buildpack in place',
            'spec/resolve-order: D07 names the path of a cycle',
          ],
        },
      ],
    },
    {
      section: 'Buildpack Interface',
      rows: [{ line: 139, what: 'executables are run as the phases describe', tests: [detectInputs, buildInputs] }],
    },
    {
      section: 'Buildpack Interface › Execution Environments',
      rows: [
        { line: 148, what: 'buildpacks adapt to CNB_EXEC_ENV', notApplicable: author },
        {
          line: 159,
          what: 'without CNB_EXEC_ENV production is meant',
          since: '0.12',
          tests: ['spec/exec-env: is production when it is %j', buildInputs],
        },
        { line: 161, what: 'CNB_EXEC_ENV has no slash', since: '0.12', tests: ['spec/exec-env: is refused as %j'] },
        {
          line: 163,
          what: 'no layers are restored from an image of another execution environment',
          notApplicable: 'the platform chooses the previous image',
        },
      ],
    },
    {
      section: 'Buildpack Interface › Buildpack API Compatibility',
      rows: [
        {
          line: 167,
          what: 'a buildpack is run as its API version says',
          tests: [detectInputs, buildInputs, 'spec/api: knows 0.7 to 0.12'],
        },
        {
          line: 168,
          what: 'or refused when that version is not supported',
          tests: ['spec/api: D18 refuses %j, naming the buildpack'],
        },
      ],
    },
    {
      section: 'Buildpack Interface › Layer Types',
      rows: [
        {
          line: 268,
          what: 'launch, build and cache decide who gets a layer',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
            'phases/build: gives the environment of build layers to later buildpacks, and not of other layers',
            restored,
          ],
        },
        {
          line: 275,
          what: 'a layer without types has none of them',
          tests: ['spec/documents: is ignored without types', 'phases/build: sets ignored layers aside'],
        },
      ],
    },
    {
      section: 'Buildpack Interface › Layer Types › Launch Layers',
      rows: [
        {
          line: 307,
          what: 'the app gets all launch layers',
          tests: ['launcher/env: later buildpacks come first, the layers of one in ascending order'],
        },
        {
          line: 309,
          what: 'they are in the image',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
          ],
        },
        {
          line: 310,
          what: 'their metadata is kept beside their diffID',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
          ],
        },
        { line: 314, what: 'before a rebuild: their metadata is restored, without types', tests: [restored] },
        { line: 315, what: 'before a rebuild: their SBOM is restored', tests: [restored] },
        { line: 316, what: 'before a rebuild: their directory is not', tests: [restored] },
        {
          line: 320,
          what: 'without a directory: the previous layer is reused',
          tests: ['phases/export: are reused where there is none, with the metadata and SBOM of this build'],
        },
        {
          line: 321,
          what: 'without a directory: with the new metadata',
          tests: ['phases/export: are reused where there is none, with the metadata and SBOM of this build'],
        },
        {
          line: 322,
          what: 'without a directory: with the new SBOM',
          tests: ['phases/export: are reused where there is none, with the metadata and SBOM of this build'],
        },
        {
          line: 324,
          what: 'with a directory: the layer has its contents',
          tests: [
            'phases/export: are built anew where there is a directory: contents, metadata and SBOM of this build',
          ],
        },
        {
          line: 325,
          what: 'with a directory: and the new metadata',
          tests: [
            'phases/export: are built anew where there is a directory: contents, metadata and SBOM of this build',
          ],
        },
        {
          line: 326,
          what: 'with a directory: and the new SBOM',
          tests: [
            'phases/export: are built anew where there is a directory: contents, metadata and SBOM of this build',
          ],
        },
        {
          line: 327,
          what: 'a layer no longer for launch is not in the image',
          tests: ['phases/export: are gone when their buildpack no longer says launch, or deletes the file'],
        },
      ],
    },
    {
      section: 'Buildpack Interface › Layer Types › Build Layers',
      rows: [
        {
          line: 333,
          what: 'later buildpacks get all build layers',
          tests: ['phases/build: gives the environment of build layers to later buildpacks, and not of other layers'],
        },
        { line: 336, what: 'uncached ones leave nothing for a rebuild', tests: [restored] },
      ],
    },
    {
      section: 'Buildpack Interface › Layer Types › Cached Layers',
      rows: [
        {
          line: 343,
          what: 'a successful build stores its cached layers',
          tests: ['phases/restore: keeps what a build caches: contents, metadata and SBOM', restored],
        },
        {
          line: 344,
          what: 'and their metadata beside their diffID',
          tests: ['phases/restore: keeps what a build caches: contents, metadata and SBOM'],
        },
        {
          line: 345,
          what: 'and their SBOMs',
          tests: ['phases/restore: keeps what a build caches: contents, metadata and SBOM', restored],
        },
        {
          line: 348,
          what: 'metadata and contents are restored both or neither',
          tests: [
            restored,
            'phases/restore: of another build than the image’s gives neither metadata nor contents',
            'phases/restore: that is damaged gives neither, with a warning, and the build goes on',
          ],
        },
      ],
    },
    {
      section: 'Buildpack Interface › Layer Types › Ignored Layers',
      rows: [
        {
          line: 358,
          what: 'their directory is renamed after their buildpack’s build',
          tests: [
            'phases/export: are out of the way of later buildpacks, and in no image',
            'phases/build: sets ignored layers aside',
          ],
        },
      ],
    },
    {
      section: 'Phase #1: Detection › Process',
      rows: [
        {
          line: 377,
          what: 'bin/detect of each buildpack of each group is run',
          tests: [
            'phases/detect: takes the first group whose required buildpacks all pass, without the optional ones that do not',
            'phases/detect: runs each bin/detect once, however many groups it is in',
          ],
        },
        {
          line: 377,
          what: 'image extensions are always optional',
          tests: [
            'cli/phase/extensions: leaves out an extension that requires something, with the reason, and one whose bin/detect fails',
          ],
        },
        {
          line: 380,
          what: 'a required buildpack that fails ends its group',
          tests: [
            'phases/detect: takes the first group whose required buildpacks all pass, without the optional ones that do not',
            'phases/detect: fails with 20 when nothing fits, saying what each looked for',
          ],
        },
        {
          line: 384,
          what: 'after one that passes or is optional comes the next',
          tests: [
            'phases/detect: keeps the order of the group',
            'phases/detect: takes the first group whose required buildpacks all pass, without the optional ones that do not',
          ],
        },
        {
          line: 388,
          what: 'a group in which none passes fails',
          tests: ['phases/detect: needs one buildpack that passes: a group of optional ones that do not is none'],
        },
        {
          line: 391,
          what: 'the first group in which one passes is selected',
          tests: [
            'phases/detect: takes the first group whose required buildpacks all pass, without the optional ones that do not',
          ],
        },
        {
          line: 393,
          what: 'only those that passed stay in it',
          tests: [
            'phases/detect: takes the first group whose required buildpacks all pass, without the optional ones that do not',
          ],
        },
        { line: 394, what: 'in the order of the group', tests: ['phases/detect: keeps the order of the group'] },
        {
          line: 398,
          what: 'bin/detect has the environment of “Environment”',
          tests: [
            detectInputs,
            'phases/detect: gives bin/detect the inputs of the spec, and only the environment that may pass',
          ],
        },
        {
          line: 405,
          what: 'bin/detect says by its exit status whether it passes',
          tests: [
            'phases/detect: fails with 20 when nothing fits, saying what each looked for',
            'phases/detect: fails with 21 when nothing fits and one errored',
          ],
        },
        {
          line: 407,
          what: 'a build plan has requires and provides',
          tests: ['spec/plan: is the top level and each or', 'spec/plan: P03 refuses %j'],
        },
        {
          line: 409,
          what: 'each a list in the format of “Build Plan”',
          tests: ['spec/plan: is the top level and each or', 'spec/plan: P03 refuses %j'],
        },
        {
          line: 417,
          what: 'a trial fails when a required buildpack provides what nobody requires',
          tests: [
            'spec/resolve-plan: fails when a required buildpack provides what nothing after it requires',
            'phases/detect: tries the next group when no build plan works out',
          ],
        },
        {
          line: 418,
          what: 'or requires what nobody provides',
          tests: [
            'spec/resolve-plan: fails when a required buildpack requires what nothing before it provides',
            'phases/detect: tries the next group when no build plan works out',
          ],
        },
        {
          line: 419,
          what: 'an optional one that provides what nobody requires is left out',
          tests: ['spec/resolve-plan: leaves out optional buildpacks instead'],
        },
        {
          line: 419,
          what: 'and its part of the plan with it',
          tests: ['spec/resolve-plan: and what they alone made possible, until nothing changes'],
        },
        { line: 420, what: 'an extension whose provides nobody requires is left out', tests: [extensionPlan] },
        { line: 420, what: 'and its part of the plan with it', tests: [extensionPlan] },
        {
          line: 421,
          what: 'an optional one that requires what nobody provides is left out',
          tests: ['spec/resolve-plan: leaves out optional buildpacks instead'],
        },
        {
          line: 421,
          what: 'and its part of the plan with it',
          tests: ['spec/resolve-plan: and what they alone made possible, until nothing changes'],
        },
        {
          line: 427,
          what: 'all of a group run in one build environment',
          tests: [
            'line.e2e: builds a Flask app, and the image serves its page',
            'phases/detect: gives bin/detect the inputs of the spec, and only the environment that may pass',
          ],
        },
        {
          line: 428,
          what: 'a required buildpack for other targets fails its group',
          since: '0.10',
          tests: [
            'phases/detect: counts a required buildpack for another target as an error',
            'spec/target: means Linux when it says nothing',
          ],
        },
      ],
    },
    {
      section: 'Phase #1: Detection › Process › Order Resolution',
      rows: [
        {
          line: 432,
          what: 'orders resolve to a group of components',
          tests: [
            'phases/detect: expands a composite buildpack in place',
            'spec/resolve-order: expands composites within composites, depth first',
          ],
        },
        { line: 434, what: 'orders of extensions do not nest', tests: ['spec/documents: an extension has no order'] },
        {
          line: 436,
          what: 'they come before the order of buildpacks',
          tests: ['spec/resolve-order: puts each group of image extensions in front of each group of buildpacks'],
        },
        {
          line: 438,
          what: 'resolution follows the pattern',
          tests: ['spec/resolve-order: expands [E, O, F]', 'spec/resolve-order: expands [O, P]'],
        },
        {
          line: 462,
          what: 'of the two examples',
          tests: ['spec/resolve-order: expands [E, O, F]', 'spec/resolve-order: expands [O, P]'],
        },
        {
          line: 488,
          what: 'an optional order is followed by the group without it',
          tests: ['spec/resolve-order: repeats the group without an optional composite'],
        },
      ],
    },
    {
      section: 'Phase #2: Analysis › Process',
      rows: [
        {
          line: 500,
          what: 'the image of the last build is looked for',
          tests: ['phases/analyze: finds the image of the last build and what it says of its layers'],
        },
        {
          line: 507,
          what: 'without one the build starts from nothing',
          tests: [
            'phases/analyze: finds no previous image the first time, which is no error',
            'phases/analyze: takes no notice of an image that no lifecycle made',
          ],
        },
        { line: 514, what: 'metadata and SBOMs of layers are restored', tests: [restored] },
        {
          line: 515,
          what: 'store.toml is restored',
          tests: ['phases/restore: has the store of its buildpack, from the image alone'],
        },
        { line: 517, what: 'then the build follows', tests: [restored] },
      ],
    },
    {
      section: 'Phase #3: Generation (image extensions only) › Purpose',
      rows: [{ line: 523, what: 'no generation for Windows', notApplicable: windows }],
    },
    {
      section: 'Phase #4: Extension (image extensions only) › Purpose',
      rows: [{ line: 533, what: 'no extension for Windows', notApplicable: windows }],
    },
    {
      section: 'Phase #5: Build (component buildpacks only) › Process',
      rows: [
        {
          line: 578,
          what: 'bin/build of each buildpack is run, in order',
          tests: ['phases/build: runs the group in order and gathers what each leaves in metadata.toml'],
        },
        {
          line: 581,
          what: 'one that fails ends the build',
          tests: ['phases/build: fails with 51 when a bin/build fails, and runs no further one'],
        },
        {
          line: 585,
          what: 'after one that succeeds comes the next',
          tests: ['phases/build: runs the group in order and gathers what each leaves in metadata.toml'],
        },
        {
          line: 588,
          what: 'after the last, export',
          tests: [
            'phases/export: is the run image with the launcher, its config and a link for each process type above it',
          ],
        },
        { line: 592, what: 'bin/build gets the paths of its inputs', tests: [buildInputs] },
        { line: 593, what: 'and the environment of “Environment”', tests: [buildInputs, buildOrder] },
        {
          line: 594,
          what: 'and the plan entries that it provides',
          tests: [buildInputs, 'spec/plan: gives a buildpack what it is asked to provide'],
        },
        { line: 601, what: 'bin/build names what it did not meet', notApplicable: author },
        { line: 606, what: 'and writes SBOMs of its layers', notApplicable: author },
        { line: 607, what: 'and of what it adds to the app', notApplicable: author },
        { line: 608, what: 'and of what it adds to the build', notApplicable: author },
        {
          line: 617,
          what: 'no layer is named build, launch or store',
          tests: ['spec/ids: D09 refuses %s', 'phases/build: D09 a layer named store'],
        },
        { line: 618, what: 'dependencies are not put in the app directory', notApplicable: author },
      ],
    },
    {
      section: 'Phase #5: Build (component buildpacks only) › Process › Unmet Buildpack Plan Entries',
      rows: [
        { line: 622, what: 'a buildpack says what it did not meet', notApplicable: author },
        {
          line: 623,
          what: 'what it does not name is met',
          tests: ['spec/plan: drops what was met, from every provider'],
        },
        {
          line: 625,
          what: 'extensions meet all entries',
          tests: [
            'cli/phase/extensions: runs those whose provides are required, and takes what they meet out of the plan',
          ],
        },
        {
          line: 629,
          what: 'an unmet entry goes to the next buildpack that provides it',
          tests: [
            'phases/build: passes what a buildpack did not meet to the next provider',
            'spec/plan: leaves what was not met to the next provider',
          ],
        },
        {
          line: 631,
          what: 'a met one goes to no other',
          tests: [
            'spec/plan: drops what was met, from every provider',
            'phases/build: gives what was met to no later buildpack',
          ],
        },
      ],
    },
    {
      section: 'Phase #5: Build (component buildpacks only) › Process › Software-Bill-of-Materials',
      rows: [
        {
          line: 635,
          what: 'the extension of an SBOM file is one of the three formats',
          tests: [
            'phases/build: collects SBOM files by whether their layer is for launch',
            'phases/export: leaves out SBOM files of other formats',
          ],
        },
        {
          line: 644,
          what: 'the image’s SBOM has those of launch layers and launch.sbom',
          tests: ['phases/export: for launch are a layer of the image'],
        },
        {
          line: 647,
          what: 'the build’s SBOM has those of other layers and build.sbom',
          tests: ['phases/export: for build are in the layers directory'],
        },
      ],
    },
    {
      section: 'Phase #5: Build (component buildpacks only) › Process › Layers › Reusing Layers',
      rows: [
        {
          line: 666,
          what: 'restored metadata has no types',
          tests: [restored, 'spec/documents: writes a restored one without types'],
        },
        {
          line: 679,
          what: 'without types set anew the layer is ignored',
          tests: ['phases/restore: is ignored unless its types are set again'],
        },
      ],
    },
    {
      section: 'Phase #5: Build (component buildpacks only) › Process › Layers › Slice Layers',
      rows: [
        {
          line: 684,
          what: 'each slice becomes a layer',
          tests: ['phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest'],
        },
      ],
    },
    {
      section: 'Phase #6: Export › Process',
      rows: [
        {
          line: 706,
          what: 'images in different stores fail the export, or the user is told that it is slower',
          deviates: 'the run image’s layers are copied, and the progress of the transfer shows it; there is no warning',
          tests: ['cli/render: has one bar for all that moves, and it is gone in the end'],
        },
        {
          line: 711,
          what: 'the directory of a launch layer becomes a layer at the same path',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
          ],
        },
        {
          line: 717,
          what: 'without one the old image’s layer is taken, or export fails',
          tests: [
            'phases/export: are reused where there is none, with the metadata and SBOM of this build',
            'phases/export: D12 that no build made fail the export',
          ],
        },
        {
          line: 720,
          what: 'its metadata is kept with the image, its buildpack and its layer',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
          ],
        },
        {
          line: 725,
          what: 'store.toml is kept with the image',
          tests: ['phases/restore: has the store of its buildpack, from the image alone'],
        },
        {
          line: 729,
          what: 'the app becomes layers by slices, at the same paths',
          tests: [
            'phases/export: is one layer without slices, at its absolute path',
            'phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest',
          ],
        },
        {
          line: 734,
          what: 'the image is made of run image, layers, app, config and launcher',
          tests: [
            'phases/export: is the run image with the launcher, its config and a link for each process type above it',
            'phases/export: has a combined list of processes, in which later buildpacks win',
            'phases/export: starts %s',
          ],
        },
        {
          line: 746,
          what: 'a layer both cached and for launch is cached with its checksum',
          tests: [
            'phases/restore: of another build than the image’s gives neither metadata nor contents',
            'phases/restore: keeps what a build caches: contents, metadata and SBOM',
          ],
        },
      ],
    },
    {
      section: 'Launch › Process',
      rows: [
        { line: 760, what: 'the environment is that of “Environment”', tests: [launcherOrder, launcherDirectories] },
        {
          line: 762,
          what: 'exec.d programs are run, then those of the process',
          tests: [
            'launcher/execd: general ones first, in the order of buildpacks, layers and names; then those of the process',
          ],
        },
        {
          line: 766,
          what: 'then the command, with its arguments, environment and directory',
          tests: [
            'launcher/process: ${as} ${JSON.stringify(args)} runs ${JSON.stringify(expected)}',
            'launcher/process: ${JSON.stringify(workingDir)} is ${expected}',
          ],
        },
        {
          line: 768,
          what: 'it replaces the launcher',
          tests: [
            'launcher/process: the app replaces the launcher: one process',
            'launcher/shell: bash leaves no process behind: ${JSON.stringify(args)}',
          ],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Lifecycle › Targets',
      rows: [
        {
          line: 776,
          what: 'CNB_TARGET_* describe the run image',
          since: '0.10',
          tests: [detectInputs, buildInputs, 'spec/target: sets only what is known'],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Lifecycle › Layer Paths',
      rows: [
        {
          line: 788,
          what: 'path variables are set for build and launch',
          tests: [
            'phases/build: gives the environment of build layers to later buildpacks, and not of other layers',
            'launcher/env: later buildpacks come first, the layers of one in ascending order',
          ],
        },
        {
          line: 790,
          what: 'for build: with the build layers of earlier buildpacks',
          tests: [
            'spec/env: puts later buildpacks’ paths first and each one’s layers in ascending order',
            'phases/build: sets each path variable of a build layer',
          ],
        },
        {
          line: 792,
          what: 'for launch: with the launch layers',
          tests: [
            'launcher/env: later buildpacks come first, the layers of one in ascending order',
            'launcher/env: the paths of the build phase are not set',
          ],
        },
        {
          line: 796,
          what: 'later buildpacks first',
          tests: [
            'spec/env: puts later buildpacks’ paths first and each one’s layers in ascending order',
            'launcher/env: later buildpacks come first, the layers of one in ascending order',
          ],
        },
        {
          line: 797,
          what: 'the layers of one in ascending order',
          tests: [
            'spec/env: puts later buildpacks’ paths first and each one’s layers in ascending order',
            'launcher/env: later buildpacks come first, the layers of one in ascending order',
          ],
        },
        {
          line: 798,
          what: 'with a colon between them',
          tests: [
            'spec/env: makes a path variable of a layer alone, without an empty part',
            'launcher/env: no delimiter at the end when there was nothing before',
          ],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Platform',
      rows: [
        {
          line: 810,
          what: 'BP_*, BPL_* and HOME are left alone',
          tests: [
            'spec/env: lets the user override, and prepend to path variables',
            'spec/env: lets through what is on the list and nothing else',
            "launcher/env: keeps the user's and the image's variables, and drops the launcher's own",
          ],
        },
        {
          line: 818,
          what: 'the user’s variables are the files of platform/env',
          tests: [
            'phases/build: sets what the user gave, unless clear-env is true: %s',
            'spec/env: knows no suffixes in the user’s names',
          ],
        },
        {
          line: 819,
          what: 'the operator’s are set whatever clear-env is',
          tests: ['spec/env: keeps the user’s from a buildpack that clears its environment, but not the operator’s'],
        },
        {
          line: 821,
          what: 'with clear-env the user’s are not set',
          tests: ['phases/build: sets what the user gave, unless clear-env is true: %s'],
        },
        {
          line: 823,
          what: 'without it they are, before paths and over others',
          tests: [
            'phases/build: sets what the user gave, unless clear-env is true: %s',
            'spec/env: lets the user override, and prepend to path variables',
          ],
        },
        {
          line: 828,
          what: 'CNB_ is nobody’s prefix but the specification’s',
          tests: ['spec/env: E07 refuses reserved names', 'spec/env: E07 refuses reserved names from %s'],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks',
      rows: [
        {
          line: 834,
          what: 'env and env.build of build layers change later buildpacks’ environment',
          tests: [
            buildOrder,
            'phases/build: gives the environment of build layers to later buildpacks, and not of other layers',
          ],
        },
        { line: 836, what: 'env and env.launch change the app’s', tests: [launcherDirectories] },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules',
      rows: [
        {
          line: 840,
          what: 'the name ends at the first period',
          tests: [
            'spec/env: override without a suffix',
            'spec/env: E10 more than one suffix',
            'launcher/env: an unknown last suffix does nothing',
          ],
        },
        {
          line: 841,
          what: 'no shell sees the value',
          tests: [
            'spec/env: no shell',
            'spec/env: E02 keeps the value exactly, newlines and all',
            'launcher/env: nothing is expanded',
          ],
        },
        { line: 843, what: 'the suffix says what happens', tests: [buildOrder, launcherDirectories] },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules › Append',
      rows: [
        {
          line: 856,
          what: 'the values are joined',
          tests: ['spec/env: append', 'launcher/env: .append appends, without a delimiter'],
        },
        { line: 858, what: 'earlier buildpacks first', tests: [buildOrder, launcherOrder] },
        { line: 859, what: 'layers of one in ascending order', tests: [buildOrder, launcherOrder] },
        { line: 860, what: 'within a layer env first, the process last', tests: [buildOrder, launcherDirectories] },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules › Default',
      rows: [
        {
          line: 864,
          what: 'only if the variable is empty',
          tests: [
            'spec/env: default where it is empty',
            'spec/env: default where something is',
            'launcher/env: .default sets what is empty',
          ],
        },
        { line: 866, what: 'earlier buildpacks win', tests: [buildOrder, launcherOrder] },
        { line: 867, what: 'earlier layers of one win', tests: [buildOrder, launcherOrder] },
        {
          line: 868,
          what: 'within a layer env wins, the process loses',
          tests: [buildOrder, 'launcher/env: .default: env wins over env.launch, that over env.launch/<process>'],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules › Delimiter',
      rows: [
        {
          line: 872,
          what: 'it delimits what is joined within its layer',
          tests: [
            'spec/env: uses a delimiter within its layer, a directory’s own first',
            'launcher/env: a delimiter ${title}',
            'launcher/env: a delimiter ends with its layer',
          ],
        },
        {
          line: 873,
          what: 'in place of any other',
          tests: ['spec/env: append with a delimiter', 'launcher/env: .append with .delim'],
        },
        {
          line: 874,
          what: 'a layer is done before the next begins',
          tests: [
            'spec/env: applies env, then env.build, layer by layer',
            'launcher/env: env files come after the paths of their buildpack and before those of the next',
          ],
        },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules › Override',
      rows: [
        {
          line: 878,
          what: 'the value is the file’s',
          tests: ['spec/env: override', 'launcher/env: .override overrides'],
        },
        { line: 880, what: 'later buildpacks win', tests: [buildOrder, launcherOrder] },
        { line: 881, what: 'later layers of one win', tests: [buildOrder, launcherOrder] },
        { line: 882, what: 'within a layer the process wins, env loses', tests: [buildOrder, launcherDirectories] },
      ],
    },
    {
      section: 'Environment › Provided by the Buildpacks › Environment Variable Modification Rules › Prepend',
      rows: [
        {
          line: 886,
          what: 'the values are joined',
          tests: ['spec/env: prepend', 'launcher/env: .prepend prepends, without a delimiter'],
        },
        { line: 888, what: 'later buildpacks first', tests: [buildOrder, launcherOrder] },
        { line: 889, what: 'layers of one in descending order', tests: [buildOrder, launcherOrder] },
        { line: 890, what: 'within a layer the process first, env last', tests: [buildOrder, launcherDirectories] },
      ],
    },
    {
      section: 'Security Considerations › Assumptions of Trust',
      rows: [
        {
          line: 911,
          what: 'the app has no registry credentials',
          tests: ['spec/env: lets through what is on the list and nothing else', noCredentials, noCredentialsEither],
        },
        {
          line: 912,
          what: 'nor have buildpacks',
          tests: ['spec/env: lets through what is on the list and nothing else', noCredentials, noCredentialsEither],
        },
      ],
    },
    {
      section: 'Security Considerations › Requirements',
      rows: [
        {
          line: 916,
          what: 'detection and build run without the credentials of analysis and export',
          tests: ['spec/env: lets through what is on the list and nothing else', noCredentials, noCredentialsEither],
        },
        {
          line: 917,
          what: 'each phase may run in a container of its own',
          tests: [
            'cli/phase/phases.e2e: at Platform API %s: five processes, again with what they left, and creator',
            'line.e2e: builds a Flask app, and the image serves its page',
          ],
        },
      ],
    },
    {
      section: 'Data Format › launch.toml (TOML)',
      rows: [
        { line: 944, what: 'no two labels of one key', tests: ['spec/launch: %s refuses %.80j'] },
        { line: 945, what: 'a label has a value', tests: ['spec/launch: %s refuses %.80j'] },
        {
          line: 947,
          what: 'labels are set on the image',
          tests: ['phases/export: has the labels of the buildpacks, the last of a key'],
        },
        {
          line: 949,
          what: 'the last of a key counts',
          tests: ['phases/export: has the labels of the buildpacks, the last of a key'],
        },
        { line: 953, what: 'a process has a type', tests: ['spec/launch: %s refuses %.80j'] },
        { line: 954, what: 'no two of one type', tests: ['spec/launch: %s refuses %.80j'] },
        { line: 955, what: 'of letters, digits and . _ -', tests: ['spec/ids: D13 L06 refuses %j'] },
        {
          line: 956,
          what: 'a process has a command, a list',
          since: '0.9',
          tests: ['spec/launch: refuses one-string commands and shells from 0.9 on', 'spec/launch: %s refuses %.80j'],
        },
        {
          line: 968,
          what: 'the last default is the default',
          tests: ['spec/launch: takes the last definition of a type and the last default'],
        },
        {
          line: 968,
          what: 'the last definition of a type counts',
          tests: [
            'spec/launch: takes the last definition of a type and the last default',
            'spec/launch: leaves no default when the default is defined anew and not as default',
          ],
        },
        {
          line: 970,
          what: 'slices stay in the app directory',
          tests: ['spec/slices: D15 refuses %s, naming the slice', 'spec/slices: takes %s for lib'],
        },
        {
          line: 975,
          what: 'their globs are those of Go',
          tests: [
            'spec/slices: %j and %j: %j',
            'spec/slices: D15 refuses the malformed %j, whatever the name',
            'spec/slices: agrees with a plain search through all possibilities',
          ],
        },
        {
          line: 980,
          what: 'a slice does not see what earlier ones took',
          tests: ['spec/slices: gives each slice what those before it left'],
        },
        {
          line: 982,
          what: 'slices may be empty',
          tests: [
            'spec/slices: accepts slices that match nothing, and no slices',
            'phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest',
          ],
        },
        {
          line: 984,
          what: 'what no slice takes is in the image too',
          tests: ['phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest'],
        },
      ],
    },
    {
      section: 'Data Format › build.toml (TOML)',
      rows: [
        { line: 994, what: 'a buildpack names what it did not meet', notApplicable: author },
        {
          line: 997,
          what: 'it names entries of its plan',
          tests: ['spec/plan: refuses a name that it was not asked for'],
        },
      ],
    },
    {
      section: 'Data Format › buildpack.toml (TOML)',
      rows: [
        { line: 1102, what: 'authors choose unique ids', notApplicable: author },
        {
          line: 1107,
          what: 'an id has letters, digits and . / -',
          deviates:
            'it is kept when a buildpack is packaged; when one is run any id that is a safe name is taken, as ids with an underscore are in use',
          tests: ['spec/ids: is strict when publishing', 'spec/ids: D01 refuses %j'],
        },
        { line: 1108, what: 'it is none of the four reserved words', tests: ['spec/ids: D04 refuses %s'] },
        { line: 1109, what: 'no two ids differ by case alone', tests: ['spec/ids: %s refuses %s beside %s'] },
        {
          line: 1112,
          what: 'a version is X.Y.Z',
          deviates:
            'it is kept when a buildpack is packaged; when one is run any version that is a safe name is taken, as other versions are in use',
          tests: ['spec/ids: is strict when publishing: %s', publish],
        },
        { line: 1113, what: 'versions increase', notApplicable: author },
        {
          line: 1119,
          what: 'api is major.minor, or major alone',
          tests: ['spec/api: D18 refuses %j, naming the buildpack'],
        },
        { line: 1120, what: 'it is the API that the buildpack implements', notApplicable: author },
        { line: 1121, what: 'the lowest one that fits', notApplicable: author },
        {
          line: 1134,
          what: 'exec-env names execution environments',
          since: '0.12',
          tests: ['spec/documents: reads exec-env as strings too', 'spec/documents: P03 names file, line and key: %j'],
        },
        {
          line: 1139,
          what: 'sbom-formats are media types of SBOMs',
          tests: ['phases/build: refuses an SBOM in a format that buildpack.toml does not declare'],
        },
      ],
    },
    {
      section: 'Data Format › buildpack.toml (TOML) › Targets',
      rows: [
        { line: 1143, what: 'a buildpack has targets', notApplicable: author },
        {
          line: 1146,
          what: 'each is one that it works on',
          since: '0.10',
          tests: ['spec/target: Debian on amd64 satisfies %j: %j'],
        },
        {
          line: 1147,
          what: 'os, arch and variant are those of images',
          since: '0.10',
          tests: [
            'spec/target: Debian on amd64 satisfies %j: %j',
            'spec/target: compares variants where both sides have one',
          ],
        },
        {
          line: 1148,
          what: 'distros are those it works on',
          since: '0.10',
          tests: ['spec/target: Debian on amd64 satisfies %j: %j'],
        },
        {
          line: 1149,
          what: 'Linux distros are named as in os-release',
          since: '0.10',
          tests: ['spec/target: reads %j', 'spec/target: takes the labels before os-release'],
        },
        { line: 1150, what: 'Windows has no distro name', notApplicable: windows },
        { line: 1150, what: 'but a version', notApplicable: windows },
      ],
    },
    {
      section: 'Data Format › buildpack.toml (TOML) › Order',
      rows: [
        {
          line: 1162,
          what: 'each element of a group has id and version',
          tests: [
            'cli/phase/buildpacks: an element of an order without a version is an error that names it',
            'spec/documents: reads an order, which makes it a composite',
            'spec/documents: P03 names file, line and key: %j',
            'phases/detect: names a buildpack that the order has and the builder has not',
          ],
        },
        {
          line: 1162,
          what: 'an order has buildpacks',
          tests: [
            'spec/documents: P03 names file, line and key: %j',
            'phases/detect: names a buildpack that the order has and the builder has not',
          ],
        },
        { line: 1162, what: 'and no extensions', notApplicable: notAmongBuildpacks },
      ],
    },
    {
      section: 'Data Format › Exec.d Output (TOML)',
      rows: [
        {
          line: 1174,
          what: 'a name is a bare key',
          deviates: 'quotes around a name that needs none are no fault',
          tests: ['launcher/execd: a quoted key that needs no quotes', 'launcher/execd: a dotted key'],
        },
        {
          line: 1175,
          what: 'and a variable’s name',
          tests: ['launcher/execd: L05 a name with =', 'launcher/execd: L05 an empty name'],
        },
        {
          line: 1178,
          what: 'a value is a basic string',
          deviates: 'any TOML string is taken, as other launchers do; everything else is refused',
          tests: ['launcher/execd: a literal string', 'launcher/execd: a number', 'launcher/execd: a table'],
        },
      ],
    },
    {
      section: 'Deprecations › buildpack.toml (TOML) stacks Array',
      rows: [
        {
          line: 1196,
          what: 'a stack is one that the buildpack works on',
          tests: ['spec/documents: reads stacks', 'spec/target: translates the bionic stack'],
        },
        {
          line: 1197,
          what: 'its id is a stack’s',
          tests: ['spec/documents: reads stacks', 'spec/documents: P03 names file, line and key: %j'],
        },
        { line: 1199, what: 'or it stands for any', tests: ['spec/target: Debian on amd64 satisfies %j: %j'] },
        { line: 1200, what: 'with the id *', tests: ['spec/target: Debian on amd64 satisfies %j: %j'] },
        { line: 1201, what: 'and no mixins', notApplicable: 'mixins are not read: targets took their place' },
        {
          line: 1203,
          what: 'a buildpack with an order has no stacks',
          tests: ['spec/documents: P03 names file, line and key: %j'],
        },
      ],
    },
    {
      section: 'Deprecations › Positional Arguments to detect and build Executables',
      rows: [
        { line: 1225, what: 'authors use the variables instead', since: '0.8', tests: [detectInputs, buildInputs] },
      ],
    },
    {
      section: 'Deprecations › launch.toml (TOML) bom Array',
      rows: [
        { line: 1253, what: 'a bom entry for each dependency', notApplicable: author },
        { line: 1254, what: 'an entry has a name', notApplicable: author },
        {
          line: 1261,
          what: 'a legacy BOM has the entries of all buildpacks',
          notApplicable:
            'deprecated in the oldest API that we support; the file may be written, and its array is read and left out',
        },
      ],
    },
    {
      section: 'Deprecations › build.toml (TOML) bom Array',
      rows: [
        { line: 1278, what: 'a bom entry for each dependency', notApplicable: author },
        { line: 1279, what: 'an entry has a name', notApplicable: author },
        {
          line: 1284,
          what: 'a legacy BOM has the entries of all buildpacks',
          notApplicable:
            'deprecated in the oldest API that we support; the file may be written, and its array is read and left out',
        },
      ],
    },
  ],
}
