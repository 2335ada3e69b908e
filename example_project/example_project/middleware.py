"""A content security policy, by which the browser enforces that the site loads nothing from other sites."""

from django.conf import settings

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # blob: previews of received images
        "connect-src 'self' ws: wss:",  # the echo page connects to any WebSocket URL
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


def content_security_policy(get_response):
    def middleware(request):
        response = get_response(request)
        if not (settings.DEBUG and response.status_code in {404, 500}):  # Django's debug pages style themselves inline
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
