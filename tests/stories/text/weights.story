Both arms are new, equal and get the same share, so the comparison is fair; production is left alone.

ana starts emr-next at 1 %
wait until emr-next is serving
then users reach production 98 %, baseline 1 %, canary 1 %
ana sets emr-next to 10 %
20 s pass
then users reach production 80 %, baseline 10 %, canary 10 %
ana sets emr-next to 33.3 %
20 s pass
then users reach production 33.4 %, baseline 33.3 %, canary 33.3 %
# Half and half leaves production nothing, which the plan did not accept.
ana sets emr-next to 50 %
ana sets emr-next to 2.5 %
20 s pass
then users reach production 95 %, baseline 2.5 %, canary 2.5 %
then nothing more is to be done
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 1 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    36.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  The canary instance has fetched its files (44.0 s after its start).
    48.0 s  The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  The canary instance has loaded its images (56.0 s after its start).
    60.0 s  The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The canary instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    72.0 s  The apps run; no user reaches them yet.
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    84.0 s  Arya registered the canary instance in the canary target group.
    86.0 s  Arya created the probe rule at priority 49999.
    94.0 s  Arya began: the canary gets 1 % of matching traffic, the baseline 1 %.
    94.0 s  Arya created the main rule at priority 50000.
    96.0 s  Our main rule stands on the listener: canary and baseline get 1 % each.
    96.0 s  Users reach baseline and canary now.
    96.0 s  Ana set the canary share to 10 % (before: 1 %).
    96.0 s  Arya changed the weights of the main rule.
    98.0 s  Our main rule stands on the listener: canary and baseline get 10 % each.
   116.0 s  Ana set the canary share to 33.3 % (before: 10 %).
   116.0 s  Arya changed the weights of the main rule.
   118.0 s  Our main rule stands on the listener: canary and baseline get 33.3 % each.
   136.0 s  > ana sets emr-next to 50 %
   136.0 s  > refused: A share of 50 % leaves production nothing of the matching traffic, and the plan did not accept that. Nothing was changed; choose less, or deploy with `production_zero` acknowledged.
   136.0 s  Ana set the canary share to 2.5 % (before: 33.3 %).
   136.0 s  Arya changed the weights of the main rule.
   138.0 s  Our main rule stands on the listener: canary and baseline get 2.5 % each.
   156.0 s  Ana asked for everything of ours to be removed.
   156.0 s  Everything of ours is being removed.
   156.0 s  Arya deleted the main rule.
   156.0 s  Arya deleted the probe rule.
   218.0 s  Arya took the baseline instance out of the baseline target group.
   218.0 s  Arya took the canary instance out of the canary target group.
   218.0 s  Arya terminated the monitor instance.
   220.0 s  No new requests reach our instances; those they have are being finished.
   222.0 s  Arya deleted the baseline target group.
   222.0 s  Arya deleted the canary target group.
   222.0 s  Arya terminated the baseline instance.
   222.0 s  Arya terminated the canary instance.
   268.0 s  Arya deleted the app security group.
   268.0 s  Arya deleted the monitor security group.
   268.0 s  Arya emptied and deleted the temporary bucket.
   300.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
