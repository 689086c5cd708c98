import functions_framework


@functions_framework.http
def greet(request):
    return f"hello {request.args.get('name', 'world')}"
