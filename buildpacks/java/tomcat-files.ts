/** The directory of the host's files. */
export const hostDir = 'Catalina/localhost'

/**
 * Tomcat's files for one application, by their paths in `conf`.
 * @param hidden paths in the application's directory that are not served
 */
export const configuration = (contextPath: string, hidden: readonly string[]): Readonly<Record<string, string>> => ({
  'server.xml': `<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <Listener className="org.apache.catalina.core.JreMemoryLeakPreventionListener"/>
  <Listener className="org.apache.catalina.core.ThreadLocalLeakPreventionListener"/>
  <Service name="Catalina">
    <Connector port="\${PORT:-8080}" protocol="HTTP/1.1" URIEncoding="UTF-8"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" autoDeploy="false" unpackWARs="false" workDir="\${java.io.tmpdir}/tomcat">
        <Valve className="org.apache.catalina.valves.RemoteIpValve" protocolHeader="x-forwarded-proto"/>
        <Valve className="org.apache.catalina.valves.rewrite.RewriteValve"/>
        <Valve className="org.apache.catalina.valves.ErrorReportValve" showReport="false" showServerInfo="false"/>
      </Host>
    </Engine>
  </Service>
</Server>
`,
  // Sessions are not written to disk, since nothing would read them again.
  'context.xml': `<?xml version="1.0" encoding="UTF-8"?>
<Context>
  <Manager pathname=""/>
</Context>
`,
  'logging.properties': `handlers = java.util.logging.ConsoleHandler
.handlers = java.util.logging.ConsoleHandler
java.util.logging.ConsoleHandler.level = INFO
java.util.logging.ConsoleHandler.formatter = org.apache.juli.OneLineFormatter
`,
  [`${hostDir}/rewrite.config`]: hidden
    .map(path => `RewriteRule ^${pattern(`${contextPath}/${path}`)}(/.*)?$ - [F]\n`)
    .join(''),
})

/** White space ends a pattern in this file. */
const pattern = (path: string): string => path.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll(/\s/g, '\\s')

/** Variables such as \${PORT} in Tomcat's files come from the environment ("Property Source"). */
export const propertySource =
  '-Dorg.apache.tomcat.util.digester.PROPERTY_SOURCE=org.apache.tomcat.util.digester.EnvironmentPropertySource'
