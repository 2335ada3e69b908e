"""Middleware that some tests install in the project."""

from django.http import HttpResponse


def show_page(get_response):
    """Put a page of the site in the place of an error's own, as many projects do."""

    def middleware(request):
        response = get_response(request)
        if response.status_code in {400, 403} and not response.streaming:
            return HttpResponse(f"<h1>{response.reason_phrase}</h1>", status=response.status_code)
        return response

    return middleware
