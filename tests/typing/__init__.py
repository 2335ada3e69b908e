"""What the type checkers report of code that uses this package.

The files in ``cases`` are checked, and never run. A comment says what each checker has to report on its line::

    echo()  # reported: both call-arg; pyright reportCallIssue

``mypy`` runs in strict mode with django-stubs, with and without its plugin; ``bare`` is mypy where django-stubs is not
installed, so that everything of Django is ``Any``; ``both`` is these two. On a line without such a comment nothing may
be reported.
"""
