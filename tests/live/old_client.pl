#!/usr/bin/perl
# A WebSocket client of any version, by Protocol::WebSocket.
#
#     perl old_client.pl HOST PORT PATH VERSION [COOKIE]
#
# VERSION is one of draft-hixie-75, draft-ietf-hybi-00 (hixie-76), draft-ietf-hybi-10 (8) and draft-ietf-hybi-17 (13).
# Each line of the standard input is sent as a text message; the end of the input asks for the closing handshake. The
# standard output is a line for each event:
#
#     open              the handshake is complete
#     message TEXT      a message has come
#     close CODE        the server's Close has come; without CODE where there was none
#     end               the server has ended the connection

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Client;

use constant PATIENCE => 60;    # seconds for everything

my ($host, $port, $path, $version, $cookie) = @ARGV;
die "usage: $0 HOST PORT PATH VERSION [COOKIE]\n" unless defined $version;

$SIG{ALRM} = sub { die "it takes too long\n" };
$SIG{PIPE} = 'IGNORE';
alarm PATIENCE;
binmode $_ for \*STDIN, \*STDOUT;
$| = 1;

my $hixie75 = $version eq 'draft-hixie-75';
my $hixie   = $hixie75 || $version eq 'draft-ietf-hybi-00';

my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp') or die "cannot connect: $@\n";
my $handshake = Protocol::WebSocket::Handshake::Client->new(url => "ws://$host:$port$path", version => $version);
push @{ $handshake->req->{headers} }, Cookie => $cookie if defined $cookie;
# What is received has no limit here; the default is less than the 70 kB of a test.
my $incoming = Protocol::WebSocket::Frame->new(version => $version, max_payload_size => 0);
my $closing  = 0;

put($handshake->to_string);
while (!$handshake->is_done) {
    my $data = get();
    die "the connection has ended in the handshake\n" unless length $data;
    # What follows the handshake is left in $data.
    $handshake->parse($data) or die $handshake->error . "\n";
    $incoming->append($data) if $handshake->is_done;
}
print "open\n";
receive();

my $input  = '';
my $select = IO::Select->new($socket, \*STDIN);
EVENT: while (1) {
    for my $ready ($select->can_read) {
        if ($ready == $socket) {
            my $data = get();
            last EVENT unless length $data;
            $incoming->append($data);
            receive();
            next;
        }
        my $size = sysread STDIN, $input, 65536, length $input;
        die "cannot read the input: $!\n" unless defined $size;
        while ($input =~ s/\A([^\n]*)\n//) {
            put(frame('text', $1));
        }
        if (!$size) {
            $select->remove(\*STDIN);
            leave();
        }
    }
}
print "end\n";
close $socket;

sub put {
    my ($data) = @_;
    while (length $data) {
        my $size = syswrite $socket, $data;
        die "cannot send: $!\n" unless defined $size;
        substr $data, 0, $size, '';
    }
}

sub get {
    my $size = sysread $socket, my $data, 65536;
    die "cannot receive: $!\n" unless defined $size;
    return $data;
}

sub frame {
    my ($type, $payload) = @_;
    my $frame = Protocol::WebSocket::Frame->new(
        version          => $version,
        type             => $type,
        masked           => 1,
        max_payload_size => 0,
        buffer           => $payload,
    );
    return $frame->to_bytes;
}

# Say goodbye, as the version does it: hixie-75 has nothing but the end of the stream.
sub leave {
    my ($payload) = @_;
    return if $closing++;
    if ($hixie75) {
        shutdown $socket, 1;
    }
    else {
        put(frame('close', $payload // pack 'n', 1000));
    }
}

sub receive {
    while (defined(my $payload = $incoming->next_bytes)) {
        if ($incoming->is_close) {
            print length $payload ? 'close ' . unpack('n', $payload) . "\n" : "close\n";
            leave($payload);
            return;
        }
        elsif ($hixie || $incoming->is_text) {
            print "message $payload\n";
        }
        elsif ($incoming->is_ping) {
            put(frame('pong', $payload));
        }
        else {
            die 'this was not expected: opcode ' . $incoming->opcode . "\n";
        }
    }
}
