import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineBuildpack, digestOf, fail, isSet, pass } from '../sdk/index.ts'
import { checkScript } from './check-script.ts'

export const healthChecker = defineBuildpack({
  detect({ env }) {
    return isSet(env, 'BP_HEALTH_CHECKER_ENABLED')
      ? pass('BP_HEALTH_CHECKER_ENABLED enables the health check')
      : fail('BP_HEALTH_CHECKER_ENABLED does not enable the health check')
  },

  async build({ env, layer, log }) {
    log.heading('Health checker')
    const { BP_HEALTH_CHECKER_DEPENDENCY: other = 'thc' } = env
    if (other !== 'thc')
      log.warning(`BP_HEALTH_CHECKER_DEPENDENCY=${other}: there is one health checker, which reads THC_ variables`)
    const checker = await layer('checker', {
      title: 'the health check',
      types: { launch: true },
      key: { Script: digestOf(checkScript) },
      create: async dir => {
        await mkdir(join(dir, 'bin'))
        await writeFile(join(dir, 'bin', 'health-check'), checkScript)
        await chmod(join(dir, 'bin', 'health-check'), 0o755)
      },
    })
    log.info('An engine runs it in the container: docker run --health-cmd /cnb/process/health-check')
    return { launch: { processes: [{ type: 'health-check', command: [join(checker.path, 'bin', 'health-check')] }] } }
  },
})
