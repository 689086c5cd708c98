<%@ page contentType="text/plain" trimDirectiveWhitespaces="true" %>
${requestScope.state} at ${pageContext.request.contextPath}